/*
 * Raft's elections and log replication (Ongaro and Ousterhout, "In Search of an Understandable
 * Consensus Algorithm", 2014), as models/src/raft has them: a no-op at the start of each term,
 * conflict hints (5.3), appends that carry what there is, one at a time to each follower, probes
 * and heartbeats. Messages are a set that nothing ever leaves: any loss, duplication and
 * reordering. A crash may come within a step: its records are on disk, nothing has left.
 *
 * Equals these of our models state for state with --reductions none; with -DINERT, which drops
 * what can never matter any more, with --reductions inert. Where nobody crashes (divergence,
 * election-5) it equals them transition for transition as well; a crash within a step that
 * writes nothing is one transition more here than there. SPIN counts one state and one
 * transition more: the state before the disks are read.
 *
 *                                            none          -DINERT
 *   raft/election    -DELECTION                            747,096 states   -DROOM=32
 *   raft/election-5  -DELECTION_5                          171,172
 *   raft/divergence  -DDIVERGENCE      10,481,127           10,478
 *   raft/catch-up    -DCATCH_UP            12,814            3,496
 *
 *   spin -a -DDIVERGENCE raft.pml
 *   gcc -O3 -DSAFETY -DNOREDUCE -DMEMLIM=12000 -o pan pan.c
 *   ./pan -m100000
 *
 * -DTABLE=256 keeps the messages under way as bits, and what they say outside the state: a third
 * of the memory, on one core. -DPARALLEL is for several cores (gcc -DNCORE=2) and breadth-first
 * search; the latter counts the states within an atomic sequence too.
 *
 * Which timer runs follows from a node's role: Heartbeat on leaders, Election on the others. What
 * has been applied follows from the commit index, and where a leader's term began from its log.
 * So these are no variables here.
 */

#ifdef ELECTION        /* elections, and what a crash may not undo */
#define N 3
#define CRASHES 1
#define LAST_TERM(i) 2
#define TERM_0 0
#define LOG_0(i) 0
#endif
#ifdef ELECTION_5      /* two of five nodes stand in one term */
#define N 5
#define LAST_TERM(i) ((i) == 0 || (i) == 4 -> 1 : 0)
#define TERM_0 0
#define LOG_0(i) 0
#endif
#ifdef DIVERGENCE      /* logs that diverge, and leaders that change */
#define N 3
#define LAST_TERM(i) ((i) == 0 -> 3 : ((i) == 1 -> 2 : 0))
#define TERM_0 1
#define LOG_0(i) ((i) == 0 -> 5 : 0)            /* 1 1, or nothing */
#endif
#ifdef CATCH_UP        /* a diverged follower is brought into agreement */
#define N 3
#define CRASHES 1
#define LAST_TERM(i) ((i) == 1 -> 3 : 0)
#define TERM_0 2
#define LOG_0(i) ((i) == 0 -> 21 : 9)           /* 1 1 1, or 1 2 */
#define MOST 1                                  /* entries an append */
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef MOST
#define MOST 7
#endif
#ifndef ROOM
#define ROOM 64        /* messages under way; pan stops with an error if they are more */
#endif
#ifdef TABLE           /* how many different messages there are; see below */
#define PLACES TABLE
#else
#define PLACES ROOM
#endif
#define MAJORITY (N / 2 + 1)

/* A log is its entries' terms, two bits each, the first the lowest: a term is at most 3. */
#define ENTRY(l, idx) (((l) >> (2 * ((idx) - 1))) & 3)
#define TERM_AT(l, idx) ((idx) == 0 -> 0 : ENTRY(l, idx))
#define UP_TO(l, idx) ((l) & ((1 << (2 * (idx))) - 1))

/* A message is a number. The first fields are the same for all. */
#define REQUEST_VOTE 0
#define REQUEST_VOTE_RESPONSE 1
#define APPEND_ENTRIES 2
#define APPEND_ENTRIES_RESPONSE 3
#define ENVELOPE(kind, from, to, t) ((kind) | (from) << 2 | (to) << 5 | (t) << 8)
#define KIND(m) ((m) & 3)
#define FROM(m) (((m) >> 2) & 7)
#define TO(m) (((m) >> 5) & 7)
#define TERM(m) (((m) >> 8) & 3)               /* of an answer, that of its request */
/* RequestVote */
#define LAST_INDEX(m) (((m) >> 10) & 7)
#define LAST_TERM_OF(m) (((m) >> 13) & 3)
/* AppendEntries */
#define PREV_INDEX(m) (((m) >> 10) & 7)
#define PREV_TERM(m) (((m) >> 13) & 3)
#define LEADER_COMMIT(m) (((m) >> 15) & 7)
#define ENTRIES(m) ((m) >> 18)
/* The answers */
#define OUTCOME(m) (((m) >> 10) & 3)
#define GRANTED 0
#define REFUSED 1
#define ACCEPTED 0
#define CONFLICT 1
#define STALE_TERM 2
#define CURRENT_TERM(m) (((m) >> 12) & 3)      /* of a STALE_TERM */
#define MATCH_INDEX(m) (((m) >> 12) & 7)       /* of an ACCEPTED */
#define CONFLICT_AT(m) (((m) >> 12) & 7)       /* of a CONFLICT: the index that was asked about, */
#define CONFLICT_TERM(m) (((m) >> 15) & 3)     /* the term there, if any, */
#define FIRST_INDEX(m) (((m) >> 17) & 7)       /* and where it begins */

/* On disk */
byte term[N];
byte voted_for[N];     /* 0 for nobody, else the id + 1 */
short log[N];
byte last[N];          /* the log's last index */
/* In memory */
#define FOLLOWER 0
#define CANDIDATE 1
#define LEADER 2
#define DOWN 3
byte role[N];
byte leader[N];        /* whom a follower follows: 0 for nobody, else the id + 1 */
byte votes[N];         /* who has voted for this candidate: a bit each */
byte commit[N];
/* What a leader knows of a peer */
#define OF(i, peer) ((i) * N + (peer))
byte next_index[N * N];
byte match_index[N * N];
bool replicates[N * N];
byte in_flight[N * N]; /* the last index of the append that is not acknowledged; 0 for none */
byte weight[N * N];    /* how many entries it has */
bool advances[N * N];  /* whether some of it has been, since the last heartbeat */
/* The world */
#ifdef TABLE           /* messages under way: a bit for each that there ever was */
byte under_way[TABLE / 8];
#define IS_UNDER_WAY(k) ((under_way[(k) / 8] >> ((k) % 8)) & 1)
hidden int message[TABLE];     /* no part of the state, and never forgotten */
hidden short slots[1024];      /* their places there + 1, by a hash */
hidden short messages, slot;
#else                  /* in ascending order, without gaps */
int message[ROOM];
byte messages;
#define IS_UNDER_WAY(k) (messages > k)
#endif
byte crashes;
/* What the properties remember: who ever led, and what was ever committed, with the term of the
   node that first knew it: two and two bits an entry. */
short leaders;
int committed;
byte committed_entries;

/* Scratch, no part of the state. On several cores it must be one, and be forgotten. */
#ifdef PARALLEL
#define SCRATCH
inline forget_scratch() {
    what = 0; me = 0; peer = 0; idx = 0; position = 0; count = 0; first = 0; quorum_has = 0;
    from = 0; kind = 0; skipped = 0; within = 0; is_news = 0; at = 0;
    m = 0; sent = 0; rest = 0; entry = 0
}
#else
#define SCRATCH hidden
#define forget_scratch() skip
#endif
SCRATCH byte what, me, peer, idx, position, count, first, quorum_has, from, kind, skipped;
SCRATCH byte within, is_news;
SCRATCH short at;
SCRATCH int m, sent, rest, entry;

#ifdef TABLE
inline put() {
    slot = (sent ^ (sent >> 5) ^ (sent >> 11) ^ (sent >> 17)) & 1023;
    do
    :: slots[slot] != 0 && message[slots[slot] - 1] != sent -> slot = (slot + 1) & 1023
    :: else -> break
    od;
    if
    :: slots[slot] == 0 ->
        assert(messages < TABLE);
        message[messages] = sent;
        messages++;
        slots[slot] = messages
    :: else
    fi;
    slot = slots[slot] - 1;
    under_way[slot / 8] = under_way[slot / 8] | 1 << (slot % 8)
}
#else
inline put() {
    position = 0;
    do
    :: position < messages && message[position] < sent -> position++
    :: else -> break
    od;
    if
    :: position < messages && message[position] == sent
    :: else ->
        assert(messages < ROOM);
        count = messages;
        do
        :: count > position -> message[count] = message[count - 1]; count--
        :: else -> break
        od;
        message[position] = sent;
        messages++
    fi
}
#endif

inline insert(code) {
    if
    :: within
    :: else -> sent = code; put()
    fi
}

inline forget(i, p) {
    next_index[OF(i, p)] = 0;
    match_index[OF(i, p)] = 0;
    replicates[OF(i, p)] = false;
    in_flight[OF(i, p)] = 0;
    weight[OF(i, p)] = 0;
    advances[OF(i, p)] = false
}

/* Ends what the role before has left in memory. */
inline become(i, r, whom) {
    role[i] = r;
    leader[i] = whom;
    votes[i] = 0;
    peer = 0;
    do
    :: peer < N -> forget(i, peer); peer++
    :: else -> break
    od
}

inline probe_again(i, p) {
    replicates[OF(i, p)] = false;
    in_flight[OF(i, p)] = 0;
    weight[OF(i, p)] = 0;
    advances[OF(i, p)] = false
}

/* Sends p the entries from `begin` on, at most so many. */
inline send_batch(i, p, begin, most) {
    rest = UP_TO(log[i] >> (2 * (begin - 1)), most);
    insert(ENVELOPE(APPEND_ENTRIES, i, p, term[i]) | (begin - 1) << 10 |
        TERM_AT(log[i], begin - 1) << 13 | commit[i] << 15 | rest << 18);
    if
    :: rest != 0 && replicates[OF(i, p)] ->
        weight[OF(i, p)] = (last[i] - begin + 1 < most -> last[i] - begin + 1 : most);
        in_flight[OF(i, p)] = begin - 1 + weight[OF(i, p)];
        next_index[OF(i, p)] = in_flight[OF(i, p)] + 1
    :: else
    fi
}

inline send_probe(i, p) {
    first = next_index[OF(i, p)];
    send_batch(i, p, first, MOST)
}

inline send_heartbeats(i) {
    peer = 0;
    do
    :: peer < N && peer != i ->
        if
        :: replicates[OF(i, peer)] ->
            first = match_index[OF(i, peer)] + 1;
            send_batch(i, peer, first, 0)
        :: else -> send_probe(i, peer)
        fi;
        peer++
    :: peer < N && peer == i -> peer++
    :: else -> break
    od
}

/* What of an append has not been acknowledged since the last heartbeat may be lost. */
inline tick(i) {
    peer = 0;
    do
    :: peer < N ->
        if
        :: replicates[OF(i, peer)] && in_flight[OF(i, peer)] != 0 && !advances[OF(i, peer)] ->
            next_index[OF(i, peer)] = match_index[OF(i, peer)] + 1;
            probe_again(i, peer)
        :: else -> advances[OF(i, peer)] = false
        fi;
        peer++
    :: else -> break
    od
}

inline commit_up_to(i, to) {
    if
    :: to > commit[i] -> commit[i] = to
    :: else
    fi
}

/* The highest index that a majority has is committed, if its entry is of this term (5.4.2). */
inline advance_commit_index(i) {
    quorum_has = last[i];
    do
    :: quorum_has > 0 ->
        count = 0;
        peer = 0;
        do
        :: peer < N ->
            if
            :: peer == i || match_index[OF(i, peer)] >= quorum_has -> count++
            :: else
            fi;
            peer++
        :: else -> break
        od;
        if
        :: count >= MAJORITY -> break
        :: else -> quorum_has--
        fi
    :: else -> break
    od;
    if
    :: quorum_has > 0 && ENTRY(log[i], quorum_has) == term[i] -> commit_up_to(i, quorum_has)
    :: else
    fi
}

inline append(i, t) {
    log[i] = log[i] | (t) << (2 * last[i]);
    last[i]++
}

inline lead(i) {
    become(i, LEADER, 0);
    peer = 0;
    do
    :: peer < N && peer != i -> next_index[OF(i, peer)] = last[i] + 1; peer++
    :: peer < N && peer == i -> peer++
    :: else -> break
    od;
    append(i, term[i]);
    send_heartbeats(i);
    advance_commit_index(i)
}

inline on_election_timeout(i) {
    term[i]++;
    voted_for[i] = i + 1;
    become(i, CANDIDATE, 0);
    votes[i] = 1 << i;
    peer = 0;
    do
    :: peer < N && peer != i ->
        insert(ENVELOPE(REQUEST_VOTE, i, peer, term[i]) | last[i] << 10 |
            TERM_AT(log[i], last[i]) << 13);
        peer++
    :: peer < N && peer == i -> peer++
    :: else -> break
    od
}

inline on_heartbeat_timeout(i) {
    tick(i);
    send_heartbeats(i)
}

#define IS_UP_TO_DATE(i) (LAST_TERM_OF(m) > TERM_AT(log[i], last[i]) || \
    LAST_TERM_OF(m) == TERM_AT(log[i], last[i]) && LAST_INDEX(m) >= last[i])

inline on_request_vote(i) {
    if
    :: TERM(m) < term[i] ->
        insert(ENVELOPE(REQUEST_VOTE_RESPONSE, i, from, TERM(m)) | STALE_TERM << 10 |
            term[i] << 12)
    :: TERM(m) == term[i] && (voted_for[i] == 0 || voted_for[i] == from + 1) && IS_UP_TO_DATE(i) ->
        voted_for[i] = from + 1;
        insert(ENVELOPE(REQUEST_VOTE_RESPONSE, i, from, TERM(m)) | GRANTED << 10)
    :: else -> insert(ENVELOPE(REQUEST_VOTE_RESPONSE, i, from, TERM(m)) | REFUSED << 10)
    fi
}

inline on_request_vote_response(i) {
    if
    :: OUTCOME(m) == GRANTED && role[i] == CANDIDATE ->
        votes[i] = votes[i] | 1 << from;
        count = 0;
        peer = 0;
        do
        :: peer < N -> count = count + ((votes[i] >> peer) & 1); peer++
        :: else -> break
        od;
        if
        :: count >= MAJORITY -> lead(i)
        :: else
        fi
    :: else
    fi
}

inline on_append_entries(i) {
    if
    :: TERM(m) < term[i] ->
        insert(ENVELOPE(APPEND_ENTRIES_RESPONSE, i, from, TERM(m)) | STALE_TERM << 10 |
            term[i] << 12)
    :: else ->
        if
        :: role[i] == FOLLOWER && leader[i] == from + 1
        :: else -> become(i, FOLLOWER, from + 1)
        fi;
        idx = PREV_INDEX(m);
        if
        :: idx > last[i] ->
            insert(ENVELOPE(APPEND_ENTRIES_RESPONSE, i, from, TERM(m)) | CONFLICT << 10 |
                idx << 12 | (last[i] + 1) << 17)
        :: idx <= last[i] && TERM_AT(log[i], idx) != PREV_TERM(m) ->
            at = ENTRY(log[i], idx);
            first = 1;
            do
            :: ENTRY(log[i], first) != at -> first++
            :: else -> break
            od;
            insert(ENVELOPE(APPEND_ENTRIES_RESPONSE, i, from, TERM(m)) | CONFLICT << 10 |
                idx << 12 | at << 15 | first << 17)
        :: else ->
            rest = ENTRIES(m);
            do
            :: rest != 0 ->
                idx++;
                entry = rest & 3;
                rest = rest >> 2;
                if
                :: idx <= last[i] && ENTRY(log[i], idx) == entry
                :: else ->
                    if
                    :: idx <= last[i] ->
                        log[i] = UP_TO(log[i], idx - 1);
                        last[i] = idx - 1
                    :: else
                    fi;
                    append(i, entry)
                fi
            :: else -> break
            od;
            at = (LEADER_COMMIT(m) < idx -> LEADER_COMMIT(m) : idx);
            commit_up_to(i, at);
            insert(ENVELOPE(APPEND_ENTRIES_RESPONSE, i, from, TERM(m)) | ACCEPTED << 10 |
                idx << 12)
        fi
    fi
}

inline accepted(i, p) {
    at = MATCH_INDEX(m);
    if
    :: at <= last[i] && at > match_index[OF(i, p)] ->
        match_index[OF(i, p)] = at;
        if
        :: replicates[OF(i, p)] ->
            if
            :: in_flight[OF(i, p)] <= at -> in_flight[OF(i, p)] = 0; weight[OF(i, p)] = 0
            :: else
            fi;
            advances[OF(i, p)] = in_flight[OF(i, p)] != 0;
            next_index[OF(i, p)] = (next_index[OF(i, p)] > at + 1 -> next_index[OF(i, p)] : at + 1)
        :: else ->
            replicates[OF(i, p)] = true;
            next_index[OF(i, p)] = at + 1
        fi;
        if
        :: in_flight[OF(i, p)] == 0 && next_index[OF(i, p)] <= last[i] -> send_probe(i, p)
        :: else
        fi
    :: else
    fi
}

/* Back to where the logs may agree: behind this log's last entry of the conflicting term, or else
   to where the follower's entries of that term begin (5.3). */
inline conflicted(i, p) {
    at = CONFLICT_AT(m);
    is_news = at > match_index[OF(i, p)] && (replicates[OF(i, p)] && at + 1 <= next_index[OF(i, p)] ||
        !replicates[OF(i, p)] && at + 1 == next_index[OF(i, p)]);
    if
    :: is_news ->
        skipped = last[i];
        do
        :: skipped > 0 && (CONFLICT_TERM(m) == 0 || ENTRY(log[i], skipped) != CONFLICT_TERM(m)) ->
            skipped--
        :: else -> break
        od;
        skipped = (skipped > 0 -> skipped + 1 : FIRST_INDEX(m));
        at = (skipped < at -> skipped : at);
        next_index[OF(i, p)] = (at > match_index[OF(i, p)] + 1 -> at : match_index[OF(i, p)] + 1);
        probe_again(i, p);
        send_probe(i, p)
    :: else
    fi
}

inline on_append_entries_response(i) {
    if
    :: role[i] == LEADER && OUTCOME(m) == ACCEPTED ->
        accepted(i, from);
        advance_commit_index(i)
    :: role[i] == LEADER && OUTCOME(m) == CONFLICT ->
        conflicted(i, from);
        advance_commit_index(i)
    :: else
    fi
}

/* The term that the message makes known. */
#define SENDER_TERM (kind == REQUEST_VOTE || kind == APPEND_ENTRIES || OUTCOME(m) != STALE_TERM \
    -> TERM(m) : CURRENT_TERM(m))
#define IS_LATE(i) ((kind == REQUEST_VOTE_RESPONSE || kind == APPEND_ENTRIES_RESPONSE) && \
    TERM(m) < term[i])

inline on_message(i) {
    from = FROM(m);
    kind = KIND(m);
    if
    :: IS_LATE(i)
    :: else ->
        if
        :: SENDER_TERM > term[i] ->
            term[i] = SENDER_TERM;
            voted_for[i] = 0;
            at = (kind == APPEND_ENTRIES -> from + 1 : 0);
            become(i, FOLLOWER, at)
        :: else
        fi;
        if
        :: kind == REQUEST_VOTE -> on_request_vote(i)
        :: kind == REQUEST_VOTE_RESPONSE -> on_request_vote_response(i)
        :: kind == APPEND_ENTRIES -> on_append_entries(i)
        :: kind == APPEND_ENTRIES_RESPONSE -> on_append_entries_response(i)
        fi
    fi
}

inline crash(i) {
    crashes++;
    become(i, DOWN, 0);
    commit[i] = 0
}

/* At most one leader in a term. */
#define ELECTION_SAFETY(i) assert(((leaders >> ((term[i] - 1) * N)) & ((1 << N) - 1)) == 1 << i)

/* What is committed anywhere is what was committed first. */
inline STATE_MACHINE_SAFETY(i) {
    idx = 1;
    do
    :: idx <= commit[i] ->
        assert(ENTRY(log[i], idx) == ((committed >> (4 * (idx - 1) + 2)) & 3));
        idx++
    :: else -> break
    od
}

/* Ends a step: notes what it has done, or, where the node crashes within it, that it is down. */
inline observe(i) {
    if
    :: within -> crash(i)
    :: else ->
        if
        :: role[i] == LEADER ->
            leaders = leaders | 1 << ((term[i] - 1) * N + i);
            ELECTION_SAFETY(i)
        :: else
        fi;
        do
        :: committed_entries < commit[i] ->
            committed_entries++;
            committed = committed | (term[i] | ENTRY(log[i], committed_entries) << 2) <<
                (4 * (committed_entries - 1))
        :: else -> break
        od;
        STATE_MACHINE_SAFETY(i)
    fi
}

#ifdef INERT
/* Whether the message can never matter any more, crash or not: what its receiver could learn from
   it is known, and terms do not go back. */
#define IS_INERT(m) ((KIND(m) == REQUEST_VOTE || KIND(m) == APPEND_ENTRIES) && \
        TERM(m) < term[TO(m)] && TERM(m) < term[FROM(m)] || \
    KIND(m) == REQUEST_VOTE_RESPONSE && (TERM(m) < term[TO(m)] || \
        TERM(m) == term[TO(m)] && OUTCOME(m) != STALE_TERM && !(OUTCOME(m) == GRANTED && \
            role[TO(m)] == CANDIDATE && !((votes[TO(m)] >> FROM(m)) & 1))) || \
    KIND(m) == APPEND_ENTRIES_RESPONSE && (TERM(m) < term[TO(m)] || \
        TERM(m) == term[TO(m)] && OUTCOME(m) != STALE_TERM && !(role[TO(m)] == LEADER && \
            MATCH_INDEX(m) > match_index[OF(TO(m), FROM(m))])))
#ifdef TABLE
inline discard_inert() {
    slot = 0;
    do
    :: slot < messages ->
        m = message[slot];
        under_way[slot / 8] = (IS_INERT(m) -> under_way[slot / 8] & ~(1 << (slot % 8)) :
            under_way[slot / 8]);
        slot++
    :: else -> break
    od;
    slot = 0
}
#else
inline discard_inert() {
    idx = 0;
    position = 0;
    do
    :: idx < messages ->
        m = message[idx];
        if
        :: IS_INERT(m)
        :: else -> message[position] = m; position++
        fi;
        idx++
    :: else -> break
    od;
    idx = position;
    do
    :: idx < messages -> message[idx] = 0; idx++
    :: else -> break
    od;
    messages = position
}
#endif
#else
#define discard_inert() skip
#endif

#define DELIVER 0
#define FIRE 1
#define CRASH 2
#define RESTART 3

#define MAY_FIRE(i) (role[i] == LEADER || role[i] < LEADER && term[i] < LAST_TERM(i))
#define ARRIVES_WHOLE(k) \
    :: IS_UNDER_WAY(k) && role[TO(message[k])] != DOWN -> what = DELIVER; at = k; within = false
#define NODE_WHOLE(i) \
    :: MAY_FIRE(i) -> what = FIRE; me = i; within = false
#if CRASHES > 0
#define MAY_CRASH (crashes < CRASHES)
#define ARRIVES(k) ARRIVES_WHOLE(k) \
    :: MAY_CRASH && IS_UNDER_WAY(k) && role[TO(message[k])] != DOWN -> \
        what = DELIVER; at = k; within = true
#define NODE(i) NODE_WHOLE(i) \
    :: MAY_CRASH && MAY_FIRE(i) && role[i] != LEADER -> what = FIRE; me = i; within = true \
    :: MAY_CRASH && role[i] != DOWN -> what = CRASH; me = i; within = false \
    :: role[i] == DOWN -> what = RESTART; me = i; within = false
#else
#define ARRIVES(k) ARRIVES_WHOLE(k)
#define NODE(i) NODE_WHOLE(i)
#endif
#define ARRIVES_8(k) ARRIVES(k) ARRIVES(k + 1) ARRIVES(k + 2) ARRIVES(k + 3) \
    ARRIVES(k + 4) ARRIVES(k + 5) ARRIVES(k + 6) ARRIVES(k + 7)
#define ARRIVES_32(k) ARRIVES_8(k) ARRIVES_8(k + 8) ARRIVES_8(k + 16) ARRIVES_8(k + 24)

active proctype world() {
    d_step {
        me = 0;
        do
        :: me < N ->
            term[me] = TERM_0;
            log[me] = LOG_0(me);
            do
            :: last[me] < 7 && ENTRY(log[me], last[me] + 1) != 0 -> last[me]++
            :: else -> break
            od;
            me++
        :: else -> break
        od;
        forget_scratch()
    };
end:
    do
    :: atomic {
        if
        NODE(0) NODE(1) NODE(2)
#if N == 5
        NODE(3) NODE(4)
#endif
        ARRIVES_32(0)
#if PLACES > 32
        ARRIVES_32(32)
#endif
#if PLACES > 64
        ARRIVES_32(64)
#endif
#if PLACES > 96
        ARRIVES_32(96)
#endif
#if PLACES > 128
        ARRIVES_32(128) ARRIVES_32(160) ARRIVES_32(192) ARRIVES_32(224)
#endif
#if PLACES > 256
        ARRIVES_32(256) ARRIVES_32(288) ARRIVES_32(320) ARRIVES_32(352)
        ARRIVES_32(384) ARRIVES_32(416) ARRIVES_32(448) ARRIVES_32(480)
#endif
        fi;
        d_step {
            if
            :: what == DELIVER ->
                m = message[at];
                me = TO(m);
                on_message(me);
                observe(me)
            :: what == FIRE ->
                if
                :: role[me] == LEADER -> on_heartbeat_timeout(me)
                :: else -> on_election_timeout(me)
                fi;
                observe(me)
            :: what == CRASH -> crash(me)
            :: what == RESTART -> role[me] = FOLLOWER
            fi;
            discard_inert();
            forget_scratch()
        }
    }
    od
}
