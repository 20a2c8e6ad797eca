-------------------------------- MODULE Raft --------------------------------
(***************************************************************************)
(* Raft's elections and log replication (Ongaro and Ousterhout, "In Search *)
(* of an Understandable Consensus Algorithm", 2014), as models/src/raft    *)
(* has them: a no-op at the start of each term, conflict hints (5.3),      *)
(* appends that carry what there is, one at a time to each follower,       *)
(* probes and heartbeats. Messages are a set that nothing ever leaves: any *)
(* loss, duplication and reordering. A crash may come within a step: its   *)
(* records are on disk, nothing has left.                                  *)
(*                                                                         *)
(* Equals these of our models state for state and transition for           *)
(* transition: with --reductions none; where Inert, which drops what can   *)
(* never matter any more, with --reductions inert; where also Alike, a     *)
(* symmetry of the nodes' names, with --reductions all.                    *)
(*                                                                         *)
(*                       none        Inert        Alike                    *)
(*   raft/election                 747,096      124,655 states             *)
(*   raft/election-5               171,172                                 *)
(*   raft/divergence  10,481,127    10,478                                 *)
(*   raft/catch-up        12,814     3,496                                 *)
(*                                                                         *)
(*  java -XX:+UseParallelGC -cp tla2tools.jar tlc2.TLC -deadlock           *)
(*    -workers 2 -config Raft-catch-up.cfg Raft                            *)
(*                                                                         *)
(* Which timer runs follows from a node's role: Heartbeat on leaders,      *)
(* Election on the others. What has been applied follows from the commit   *)
(* index, and where a leader's term began from its log. So these are no    *)
(* variables here.                                                         *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Nodes,     \* the nodes
    Nobody,    \* is no node
    Terms,     \* for each node the last term that it stands for
    Term,      \* the term on each disk at the start
    Logs,      \* for each node the terms of the entries in its log at the start
    Most,      \* entries an append
    Crashes,   \* nodes that may crash, in one run
    Inert      \* drop what can never matter any more

VARIABLES
    node,      \* what each node has on disk and in memory
    messages,  \* under way
    crashes,   \* so many nodes have crashed
    leaders,   \* who ever led, in which term
    committed  \* what was ever committed, each with the term of the node that first knew it

vars == <<node, messages, crashes, leaders, committed>>

Min(a, b) == IF a < b THEN a ELSE b
Max(a, b) == IF a > b THEN a ELSE b

TermAt(log, index) == IF index = 0 THEN 0 ELSE log[index]
LastTerm(log) == TermAt(log, Len(log))

\* A node in memory. `leader` is whom a follower follows, `votes` who has voted for a candidate,
\* `peers` what a leader knows of the others. On disk are `term`, `votedFor` and `log`.
None == [i \in {} |-> {}]
Follower(s, leader) ==
    [s EXCEPT !.role = "follower", !.leader = leader, !.votes = {}, !.peers = None]
Candidate(s, votes) ==
    [s EXCEPT !.role = "candidate", !.leader = Nobody, !.votes = votes, !.peers = None]
Leader(s, peers) ==
    [s EXCEPT !.role = "leader", !.leader = Nobody, !.votes = {}, !.peers = peers]
Down(s) ==
    [s EXCEPT !.role = "down", !.leader = Nobody, !.votes = {}, !.peers = None, !.commit = 0]

\* What a leader knows of a peer. While it replicates, `inFlight` is the last index of the append
\* that is not acknowledged, `weight` how many entries that has (0 and 0 for none), and `advances`
\* says whether some of it has been acknowledged since the last heartbeat.
Probe(next, match) ==
    [next |-> next, match |-> match, replicates |-> FALSE,
     inFlight |-> 0, weight |-> 0, advances |-> FALSE]

\* What a step comes to: the node after it, what it sends, and whether it has written to disk.
Step(s, sends, writes) == [node |-> s, sends |-> sends, writes |-> writes]

-----------------------------------------------------------------------------
\* Replication

\* An append of the entries from `first` on, at most so many.
Append_(i, s, p, first, most) ==
    [type |-> "append", from |-> i, to |-> p, term |-> s.term,
     prevIndex |-> first - 1, prevTerm |-> TermAt(s.log, first - 1),
     entries |-> SubSeq(s.log, first, Min(Len(s.log), first - 1 + most)),
     commit |-> s.commit]

ProbeOf(i, s, p) == Append_(i, s, p, s.peers[p].next, Most)

\* A heartbeat carries no entries and asks for nothing that is not known; to whom the leader
\* probes, the probe is the heartbeat.
HeartbeatOf(i, s, p) ==
    IF s.peers[p].replicates THEN Append_(i, s, p, s.peers[p].match + 1, 0) ELSE ProbeOf(i, s, p)

Heartbeats(i, s) == {HeartbeatOf(i, s, p) : p \in DOMAIN s.peers}

\* What of an append has not been acknowledged since the last heartbeat may be lost.
Tick(progress) ==
    IF progress.replicates /\ progress.inFlight # 0 /\ ~progress.advances
    THEN Probe(progress.match + 1, progress.match)
    ELSE [progress EXCEPT !.advances = FALSE]

OnHeartbeatTimeout(i, s) ==
    LET now == [s EXCEPT !.peers = [p \in DOMAIN s.peers |-> Tick(s.peers[p])]]
    IN  Step(now, Heartbeats(i, now), FALSE)

\* The highest index that a majority has is committed, if its entry is of this term (5.4.2).
AdvanceCommitIndex(i, s) ==
    LET has(n) == {i} \union {p \in DOMAIN s.peers : s.peers[p].match >= n}
        onMajority == {n \in 1 .. Len(s.log) : Cardinality(has(n)) * 2 > Cardinality(Nodes)}
        highest == CHOOSE n \in onMajority : \A m \in onMajority : m <= n
    IN  IF onMajority # {} /\ s.log[highest] = s.term /\ highest > s.commit
        THEN [s EXCEPT !.commit = highest]
        ELSE s

OnAppendEntries(i, s, m) ==
    LET answer(outcome) ==
            {[type |-> "appendResponse", from |-> i, to |-> m.from, term |-> m.term,
              outcome |-> outcome]}
        now == IF s.role = "follower" /\ s.leader = m.from THEN s ELSE Follower(s, m.from)
        last == m.prevIndex + Len(m.entries)
        agrees(n) == n <= Len(s.log) /\ s.log[n] = m.entries[n - m.prevIndex]
        parts == {n \in m.prevIndex + 1 .. last : ~agrees(n)}
        \* What is there already stays, and so does all that follows it: the append may be old.
        log == IF parts = {} THEN s.log ELSE SubSeq(s.log, 1, m.prevIndex) \o m.entries
        at == s.log[m.prevIndex]
        begins == CHOOSE n \in 1 .. m.prevIndex :
                    s.log[n] = at /\ \A k \in 1 .. n - 1 : s.log[k] # at
    IN  IF m.term < s.term
        THEN Step(s, answer([stale |-> s.term]), FALSE)
        ELSE IF m.prevIndex > Len(s.log)
        THEN Step(now, answer([conflict |-> m.prevIndex, term |-> 0, first |-> Len(s.log) + 1]),
                  FALSE)
        ELSE IF TermAt(s.log, m.prevIndex) # m.prevTerm
        THEN Step(now, answer([conflict |-> m.prevIndex, term |-> at, first |-> begins]), FALSE)
        ELSE Step([now EXCEPT !.log = log, !.commit = Max(@, Min(m.commit, last))],
                  answer([match |-> last]), parts # {})

\* Sends p the next entries, if it replicates and nothing is under way.
SendNext(i, s, p) ==
    LET progress == s.peers[p]
        count == Min(Len(s.log) - progress.next + 1, Most)
        last == progress.next - 1 + count
    IN  IF progress.replicates /\ progress.inFlight = 0 /\ progress.next <= Len(s.log)
        THEN [node |-> [s EXCEPT !.peers[p].inFlight = last, !.peers[p].weight = count,
                                 !.peers[p].next = last + 1],
              sends |-> {ProbeOf(i, s, p)}]
        ELSE [node |-> s, sends |-> {}]

Accepted(i, s, p, match) ==
    LET progress == s.peers[p]
        waits == progress.inFlight > match
        now == [next |-> IF progress.replicates THEN Max(progress.next, match + 1) ELSE match + 1,
                match |-> match,
                replicates |-> TRUE,
                inFlight |-> IF waits THEN progress.inFlight ELSE 0,
                weight |-> IF waits THEN progress.weight ELSE 0,
                advances |-> waits]
        sent == SendNext(i, [s EXCEPT !.peers[p] = now], p)
    IN  IF match > Len(s.log) \/ match <= progress.match
        THEN Step(s, {}, FALSE)
        ELSE Step(AdvanceCommitIndex(i, sent.node), sent.sends, FALSE)

\* Back to where the logs may agree: behind this log's last entry of the conflicting term, or
\* else to where the follower's entries of that term begin (5.3).
Conflicted(i, s, p, hint) ==
    LET progress == s.peers[p]
        isNews == /\ hint.conflict > progress.match
                  /\ IF progress.replicates THEN hint.conflict < progress.next
                                            ELSE hint.conflict = progress.next - 1
        same == {n \in 1 .. Len(s.log) : s.log[n] = hint.term}
        skipped == IF same = {} THEN hint.first
                   ELSE 1 + CHOOSE n \in same : \A k \in same : k <= n
        next == Max(Min(skipped, hint.conflict), progress.match + 1)
        now == [s EXCEPT !.peers[p] = Probe(next, progress.match)]
    IN  IF isNews THEN Step(now, {ProbeOf(i, now, p)}, FALSE) ELSE Step(s, {}, FALSE)

OnAppendEntriesResponse(i, s, m) ==
    CASE s.role = "leader" /\ "match" \in DOMAIN m.outcome ->
            Accepted(i, s, m.from, m.outcome.match)
      [] s.role = "leader" /\ "conflict" \in DOMAIN m.outcome ->
            Conflicted(i, s, m.from, m.outcome)
      [] OTHER -> Step(s, {}, FALSE)

-----------------------------------------------------------------------------
\* Election

OnElectionTimeout(i, s) ==
    LET now == Candidate([s EXCEPT !.term = @ + 1, !.votedFor = i], {i})
        request(p) == [type |-> "vote", from |-> i, to |-> p, term |-> now.term,
                       lastIndex |-> Len(s.log), lastTerm |-> LastTerm(s.log)]
    IN  Step(now, {request(p) : p \in Nodes \ {i}}, TRUE)

OnRequestVote(i, s, m) ==
    LET answer(outcome) ==
            {[type |-> "voteResponse", from |-> i, to |-> m.from, term |-> m.term,
              outcome |-> outcome]}
        isUpToDate == \/ m.lastTerm > LastTerm(s.log)
                      \/ m.lastTerm = LastTerm(s.log) /\ m.lastIndex >= Len(s.log)
    IN  IF m.term < s.term THEN Step(s, answer([stale |-> s.term]), FALSE)
        ELSE IF s.votedFor \in {Nobody, m.from} /\ isUpToDate
        THEN Step([s EXCEPT !.votedFor = m.from], answer([granted |-> TRUE]),
                  s.votedFor = Nobody)
        ELSE Step(s, answer([granted |-> FALSE]), FALSE)

Lead(i, s) ==
    LET peers == [p \in Nodes \ {i} |-> Probe(Len(s.log) + 1, 0)]
        now == [Leader(s, peers) EXCEPT !.log = Append(@, s.term)]
    IN  Step(AdvanceCommitIndex(i, now), Heartbeats(i, now), TRUE)

OnRequestVoteResponse(i, s, m) ==
    LET votes == s.votes \union {m.from}
    IN  IF s.role = "candidate" /\ m.outcome = [granted |-> TRUE]
        THEN IF Cardinality(votes) * 2 > Cardinality(Nodes) THEN Lead(i, s)
             ELSE Step(Candidate(s, votes), {}, FALSE)
        ELSE Step(s, {}, FALSE)

-----------------------------------------------------------------------------
\* Rules for servers

IsResponse(m) == m.type \in {"voteResponse", "appendResponse"}
IsStale(m) == IsResponse(m) /\ "stale" \in DOMAIN m.outcome
SenderTerm(m) == IF IsStale(m) THEN m.outcome.stale ELSE m.term

OnMessage(i, s, m) ==
    LET isNewTerm == SenderTerm(m) > s.term
        sender == IF m.type = "append" THEN m.from ELSE Nobody
        now == IF isNewTerm
               THEN Follower([s EXCEPT !.term = SenderTerm(m), !.votedFor = Nobody], sender)
               ELSE s
        step == CASE m.type = "vote" -> OnRequestVote(i, now, m)
                  [] m.type = "voteResponse" -> OnRequestVoteResponse(i, now, m)
                  [] m.type = "append" -> OnAppendEntries(i, now, m)
                  [] m.type = "appendResponse" -> OnAppendEntriesResponse(i, now, m)
    IN  IF IsResponse(m) /\ m.term < s.term
        THEN Step(s, {}, FALSE)
        ELSE [step EXCEPT !.writes = @ \/ isNewTerm]

-----------------------------------------------------------------------------
\* The world

\* Whether the message can never matter any more, crash or not: what its receiver could learn
\* from it is known, and terms do not go back.
IsInert(m, nodes) ==
    LET to == nodes[m.to]
    IN  CASE ~IsResponse(m) -> m.term < to.term /\ m.term < nodes[m.from].term
          [] IsStale(m) -> m.term < to.term
          [] m.type = "voteResponse" ->
                \/ m.term < to.term
                \/ ~(/\ m.outcome.granted
                     /\ to.role = "candidate"
                     /\ m.from \notin to.votes)
          [] m.type = "appendResponse" ->
                \/ m.term < to.term
                \/ to.role # "leader"
                \/ IF "match" \in DOMAIN m.outcome
                   THEN m.outcome.match <= to.peers[m.from].match
                   ELSE m.outcome.conflict <= to.peers[m.from].match

Kept(all, nodes) == IF Inert THEN {m \in all : ~IsInert(m, nodes)} ELSE all

\* A step that is not interrupted.
Whole(i, step) ==
    LET s == step.node
        known == Len(committed)
        news == [n \in 1 .. Max(s.commit, known) - known |-> <<s.term, s.log[known + n]>>]
        nodes == [node EXCEPT ![i] = s]
    IN  /\ node' = nodes
        /\ messages' = Kept(messages \union step.sends, nodes)
        /\ leaders' = IF s.role = "leader" THEN leaders \union {<<s.term, i>>} ELSE leaders
        /\ committed' = committed \o news
        /\ UNCHANGED crashes

\* A crash, or one within a step: what that has written is on disk, and nothing has left.
CrashAfter(i, s) ==
    LET nodes == [node EXCEPT ![i] = Down(s)]
    IN  /\ crashes < Crashes
        /\ crashes' = crashes + 1
        /\ node' = nodes
        /\ messages' = Kept(messages, nodes)
        /\ UNCHANGED <<leaders, committed>>

\* `\E` over a set of one: TLC then computes the step once.
Takes(i, aStep) ==
    \E step \in {aStep} :
        \/ Whole(i, step)
        \/ step.writes /\ CrashAfter(i, step.node)

IsUp(i) == node[i].role # "down"

Deliver(m) == IsUp(m.to) /\ Takes(m.to, OnMessage(m.to, node[m.to], m))

ElectionTimeout(i) ==
    /\ node[i].role \in {"follower", "candidate"}
    /\ node[i].term < Terms[i]
    /\ Takes(i, OnElectionTimeout(i, node[i]))

HeartbeatTimeout(i) == node[i].role = "leader" /\ Takes(i, OnHeartbeatTimeout(i, node[i]))

Crash(i) == IsUp(i) /\ CrashAfter(i, node[i])

Restart(i) == ~IsUp(i) /\ Whole(i, Step(Follower(node[i], Nobody), {}, FALSE))

Init ==
    /\ node = [i \in Nodes |->
        [term |-> Term, votedFor |-> Nobody, log |-> Logs[i], role |-> "follower",
         leader |-> Nobody, votes |-> {}, peers |-> None, commit |-> 0]]
    /\ messages = {}
    /\ crashes = 0
    /\ leaders = {}
    /\ committed = <<>>

Next ==
    \/ \E m \in messages : Deliver(m)
    \/ \E i \in Nodes : ElectionTimeout(i) \/ HeartbeatTimeout(i) \/ Crash(i) \/ Restart(i)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
\* At most one leader in a term.
ElectionSafety == \A a, b \in leaders : a[1] = b[1] => a[2] = b[2]

\* What is committed anywhere is what was committed first.
StateMachineSafety ==
    \A i \in Nodes : \A n \in 1 .. node[i].commit : node[i].log[n] = committed[n][2]

-----------------------------------------------------------------------------
\* The models' constants.
ElectionTerms == [i \in Nodes |-> 2]
ElectionLogs == [i \in Nodes |-> <<>>]
Election5Terms == [i \in Nodes |-> IF i \in {0, 4} THEN 1 ELSE 0]
Election5Logs == [i \in Nodes |-> <<>>]
DivergenceTerms == [i \in Nodes |-> CASE i = 0 -> 3 [] i = 1 -> 2 [] OTHER -> 0]
DivergenceLogs == [i \in Nodes |-> IF i = 0 THEN <<1, 1>> ELSE <<>>]
CatchUpTerms == [i \in Nodes |-> IF i = 1 THEN 3 ELSE 0]
CatchUpLogs == [i \in Nodes |-> IF i = 0 THEN <<1, 1, 1>> ELSE <<1, 2>>]

\* Where nodes differ in nothing but their names (raft/election), and are model values.
Alike == Permutations(Nodes)
=============================================================================
