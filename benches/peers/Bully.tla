------------------------------- MODULE Bully -------------------------------
(***************************************************************************)
(* The Bully algorithm (Garcia-Molina, "Elections in a Distributed         *)
(* Computing System", 1982), as models/src/bully has it: elections are     *)
(* numbered, and a candidate halts the lower nodes.                        *)
(*                                                                         *)
(* Equals these of our models, state for state and transition for          *)
(* transition:                                                             *)
(*                                                                         *)
(*                      N  Elections  Crashes  Bounded        states       *)
(*  bully/cold-start    3      4         0      TRUE             525       *)
(*  bully/cold-start-4  4      2         0      TRUE         118,767       *)
(*  bully/crashes       3      3         3      TRUE         159,762       *)
(*  bully/crashes-4     4      1         1      TRUE         182,713       *)
(*  bully/asynchronous  3      1         0      FALSE        229,668       *)
(*                                                                         *)
(*  java -XX:+UseParallelGC -cp tla2tools.jar tlc2.TLC -deadlock           *)
(*    -workers 2 -config Bully-crashes.cfg Bully                           *)
(*                                                                         *)
(* Which timer runs follows from a node's standing: Okay on candidates,    *)
(* Coordinator on who waits, Heartbeat on who leads, Leader on who         *)
(* follows. So timers are no variables here.                               *)
(***************************************************************************)
EXTENDS Naturals, Sequences

CONSTANTS
    N,          \* how many nodes there are, ordered by id
    Elections,  \* the last election that begins because somebody has waited for too long
    Crashes,    \* nodes that may fail, in one run
    Bounded     \* delays are bounded: messages beat timers. Else any timer may run out at any
                \* time, nobody wins beyond Elections, and leaders do not repeat themselves

VARIABLES
    node,       \* what each node is
    link,       \* the messages from one node to another, in the order sent
    crashes     \* so many nodes have failed

vars == <<node, link, crashes>>

Nodes == 0 .. N - 1
Links == {l \in Nodes \X Nodes : l[1] # l[2]}

\* "candidate": it has asked all others, and nobody higher has answered yet. "waiting": a higher
\* node takes part. "elected": the election is over, and `highest` leads.
Candidate(i, e) == [standing |-> "candidate", election |-> e, highest |-> i]
Down == [standing |-> "down", election |-> 0, highest |-> 0]

Leads(i, s) == s.standing = "elected" /\ s.highest = i

Election(e) == [type |-> "election", election |-> e]
Okay(e) == [type |-> "okay", election |-> e]
Coordinator(e) == [type |-> "coordinator", election |-> e]
Stale(e, c) == [type |-> "stale", election |-> e, current |-> c]

\* What a step comes to: the node after it, and what it sends to whom.
Step(s, sends) == [node |-> s, sends |-> sends]
Nothing == [i \in {} |-> <<>>]
To(j, message) == [k \in {j} |-> message]
ToAll(i, message) == [j \in Nodes \ {i} |-> message]

StandIn(i, e) == Step(Candidate(i, e), ToAll(i, Election(e)))

\* Tells one who stands, `them`, why it must not win.
Answer(i, s, e, them) ==
    To(them, CASE s.standing = "candidate" -> Election(s.election)
               [] s.standing # "candidate" /\ them >= s.highest -> Stale(e, s.election)
               [] s.standing # "candidate" /\ them < s.highest /\ Leads(i, s) ->
                    Coordinator(s.election)
               [] OTHER -> Okay(e))

\* Turns to another candidate. The one that it has given way to without a word until now gets its
\* answer.
TurnTo(i, s, e, standing, highest) ==
    LET now == [standing |-> standing, election |-> e, highest |-> highest]
        gaveWay == s.standing = "waiting" /\ s.highest # i
    IN  Step(now, IF gaveWay /\ s.highest # highest
                  THEN Answer(i, now, s.election, s.highest)
                  ELSE Nothing)

OnElection(i, s, e, them) ==
    LET isOver == e = s.election /\ s.standing = "elected"
        isPast == e < s.election \/ isOver
        isNew == e > s.election
    IN  IF isNew /\ i > them THEN StandIn(i, e)
        ELSE IF isNew \/ (~isPast /\ them > s.highest) THEN TurnTo(i, s, e, "waiting", them)
        ELSE IF isPast \/ them < s.highest THEN Step(s, Answer(i, s, e, them))
        ELSE Step(s, Nothing)

OnOkay(i, s, e) ==
    IF e = s.election /\ s.standing = "candidate"
    THEN Step([s EXCEPT !.standing = "waiting"], Nothing)
    ELSE Step(s, Nothing)

OnCoordinator(i, s, e, them) ==
    LET isNews == ~(s.standing = "elected" /\ s.highest = them)
    IN  IF e < s.election
        THEN Step(s, IF s.highest < them THEN To(them, Stale(e, s.election))
                     ELSE IF Leads(i, s) THEN To(them, Coordinator(s.election))
                     ELSE Nothing)
        ELSE IF i > them THEN StandIn(i, e + 1)  \* the bullying
        ELSE IF e > s.election \/ (isNews /\ them >= s.highest)
             THEN TurnTo(i, s, e, "elected", them)
        ELSE Step(s, Nothing)

OnStale(i, s, e, c) ==
    IF e = s.election /\ c >= e /\ (s.standing = "candidate" \/ Leads(i, s))
    THEN StandIn(i, c + 1)
    ELSE Step(s, Nothing)

OnMessage(i, s, from, m) ==
    CASE m.type = "election" -> OnElection(i, s, m.election, from)
      [] m.type = "okay" -> OnOkay(i, s, m.election)
      [] m.type = "coordinator" -> OnCoordinator(i, s, m.election, from)
      [] m.type = "stale" -> OnStale(i, s, m.election, m.current)

-----------------------------------------------------------------------------
\* The world. A channel is a connection, and there is none to a node that is down.

IsUp(i) == node[i].standing # "down"

Sent(links, i, sends) ==
    [l \in Links |-> IF l[1] = i /\ l[2] \in DOMAIN sends /\ IsUp(l[2])
                     THEN Append(links[l], sends[l[2]])
                     ELSE links[l]]

Take(i, links, step) ==
    /\ node' = [node EXCEPT ![i] = step.node]
    /\ link' = Sent(links, i, step.sends)

Deliver(l) ==
    /\ link[l] # <<>>
    /\ Take(l[2], [link EXCEPT ![l] = Tail(@)], OnMessage(l[2], node[l[2]], l[1], Head(link[l])))
    /\ UNCHANGED crashes

MayFire == Bounded => \A l \in Links : link[l] = <<>>

\* Nobody higher has answered: it has won.
OkayTimeout(i) ==
    /\ node[i].standing = "candidate"
    /\ ~Bounded => node[i].election <= Elections
    /\ MayFire
    /\ Take(i, link, Step([node[i] EXCEPT !.standing = "elected"],
                          ToAll(i, Coordinator(node[i].election))))
    /\ UNCHANGED crashes

\* The higher node has not won, or the leader is silent: it must have failed.
LosePatience(i) ==
    /\ node[i].standing = "waiting" \/ (node[i].standing = "elected" /\ node[i].highest # i)
    /\ node[i].election < Elections
    /\ MayFire
    /\ Take(i, link, StandIn(i, node[i].election + 1))
    /\ UNCHANGED crashes

Heartbeat(i) ==
    /\ Bounded
    /\ Leads(i, node[i])
    /\ MayFire
    /\ Take(i, link, Step(node[i], ToAll(i, Coordinator(node[i].election))))
    /\ UNCHANGED crashes

\* What is under way to or from a node that fails is lost with the connection.
Crash(i) ==
    /\ IsUp(i)
    /\ crashes < Crashes
    /\ crashes' = crashes + 1
    /\ node' = [node EXCEPT ![i] = Down]
    /\ link' = [l \in Links |-> IF i \in {l[1], l[2]} THEN <<>> ELSE link[l]]

Restart(i) ==
    /\ ~IsUp(i)
    /\ Take(i, link, StandIn(i, 1))
    /\ UNCHANGED crashes

\* All are up before the first is heard: nobody's first words are lost.
Init ==
    /\ node = [i \in Nodes |-> Candidate(i, 1)]
    /\ link = [l \in Links |-> <<Election(1)>>]
    /\ crashes = 0

Next ==
    \/ \E l \in Links : Deliver(l)
    \/ \E i \in Nodes : \/ OkayTimeout(i) \/ LosePatience(i) \/ Heartbeat(i)
                        \/ Crash(i) \/ Restart(i)

Spec == Init /\ [][Next]_vars

\* Assertion 1: no two nodes that are up and not electing disagree on the leader. (Of the same
\* election, and if delays are bounded.)
Assertion1 ==
    Bounded => \A i, j \in Nodes :
        /\ node[i].standing = "elected"
        /\ node[j].standing = "elected"
        /\ node[i].election = node[j].election
        => node[i].highest = node[j].highest
=============================================================================
