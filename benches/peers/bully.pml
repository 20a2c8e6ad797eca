/*
 * The Bully algorithm (Garcia-Molina, "Elections in a Distributed Computing System", 1982), as
 * models/src/bully has it: elections are numbered, and a candidate halts the lower nodes.
 *
 * Equals these of our models, state for state and transition for transition. SPIN counts one
 * state more: the one before the nodes have said their first words.
 *
 *   bully/cold-start     -DN=3 -DELECTIONS=4                                      525 states
 *   bully/cold-start-4   -DN=4 -DELECTIONS=2                                  118,767
 *   bully/crashes        -DN=3 -DELECTIONS=3 -DCRASHES=3                      159,762
 *   bully/crashes-4      -DN=4 -DELECTIONS=1 -DCRASHES=1                      182,713
 *   bully/asynchronous   -DN=3 -DELECTIONS=1 -DASYNCHRONOUS                   229,668
 *
 *   spin -a -DN=3 -DELECTIONS=3 -DCRASHES=3 bully.pml
 *   gcc -O3 -DSAFETY -DNOREDUCE -DMEMLIM=12000 -o pan pan.c
 *   ./pan -m100000
 *
 * Which timer runs follows from a node's standing: Okay on candidates, Coordinator on who waits,
 * Heartbeat on who leads, Leader on who follows. So timers are no variables here.
 */

#ifndef CRASHES
#define CRASHES 0          /* nodes that may fail, in one run */
#endif
#ifdef ASYNCHRONOUS        /* any timer may run out at any time; nobody wins beyond ELECTIONS, */
#define QUIET true         /* and leaders do not repeat themselves */
#define MAY_WIN(number) (number <= ELECTIONS)
#define HEARTBEATS false
#else                      /* bounded delay: messages beat timers */
#define QUIET (under_way == 0)
#define MAY_WIN(number) true
#define HEARTBEATS true
#endif
#ifndef ROOM
#define ROOM 8             /* messages on a channel; pan stops with an error if it is too small */
#endif

mtype = { Election, Okay, Coordinator, Stale };    /* messages */
#define CANDIDATE 0        /* standings: it has asked all others, nobody higher has answered yet */
#define WAITING   1        /* a higher node takes part */
#define ELECTED   2        /* the election is over, and `highest` leads */
#define DOWN      3

/* The channel from i to j holds messages in the order sent: what, in which election, and for a
   Stale the last election that its sender knows of. */
#define LINK(i, j) link[(i) * N + (j)]
chan link[N * N] = [ROOM] of { mtype, byte, byte };

byte standing[N];          /* what each node is */
byte election[N];          /* the last election that it knows of */
byte highest[N];           /* the highest node that it knows to take part */
byte crashes;
byte under_way;            /* messages: a function of the channels, kept for speed */

/* Scratch, no part of the state. On several cores it must be one, and be forgotten. */
#ifdef PARALLEL
#define SCRATCH
inline forget_scratch() {
    peer = 0; was_election = 0; was_standing = 0; was_highest = 0;
    number = 0; current = 0; count = 0; sender = 0; what = 0
}
#else
#define SCRATCH hidden
#define forget_scratch() skip
#endif
SCRATCH byte peer, was_election, was_standing, was_highest, number, current, count, sender;
SCRATCH mtype what;

#define LEADS(i) (standing[i] == ELECTED && highest[i] == i)

#ifdef ASYNCHRONOUS
#define ASSERTION_1 skip   /* two nodes may well lead at once */
#else
/* Assertion 1: no two nodes that are up and not electing disagree on the leader. */
#define AGREE(i, j) (standing[i] != ELECTED || standing[j] != ELECTED || \
    election[i] != election[j] || highest[i] == highest[j])
#if N == 3
#define ASSERTION_1 assert(AGREE(0, 1) && AGREE(0, 2) && AGREE(1, 2))
#else
#define ASSERTION_1 assert(AGREE(0, 1) && AGREE(0, 2) && AGREE(1, 2) && \
    AGREE(0, 3) && AGREE(1, 3) && AGREE(2, 3))
#endif
#endif

/* A channel is a connection, and there is none to a node that is down. */
inline send(i, j, message, e, c) {
    if
    :: standing[j] != DOWN -> LINK(i, j)!message, e, c; under_way++
    :: else
    fi
}

inline send_to_all(i, message, e) {
    peer = 0;
    do
    :: peer == N -> break
    :: peer < N && peer == i -> peer++
    :: peer < N && peer != i -> send(i, peer, message, e, 0); peer++
    od;
    peer = 0
}

inline stand_in(i, e) {
    election[i] = e;
    standing[i] = CANDIDATE;
    highest[i] = i;
    send_to_all(i, Election, election[i])
}

/* Tells one who stands, `them`, why it must not win. */
inline answer(i, e, them) {
    if
    :: standing[i] == CANDIDATE -> send(i, them, Election, election[i], 0)
    :: standing[i] != CANDIDATE && them >= highest[i] ->
        send(i, them, Stale, e, election[i])
    :: standing[i] != CANDIDATE && them < highest[i] && LEADS(i) ->
        send(i, them, Coordinator, election[i], 0)
    :: standing[i] != CANDIDATE && them < highest[i] && !LEADS(i) ->
        send(i, them, Okay, e, 0)
    fi
}

/* Turns to another candidate. The one that it has given way to without a word until now gets its
   answer. */
inline turn_to(i, e, now_standing, now_highest) {
    was_election = election[i];
    was_standing = standing[i];
    was_highest = highest[i];
    election[i] = e;
    standing[i] = now_standing;
    highest[i] = now_highest;
    if
    :: was_standing == WAITING && was_highest != i && was_highest != highest[i] ->
        answer(i, was_election, was_highest)
    :: else
    fi
}

inline on_election(i, e, them) {
    if
    :: e > election[i] && i > them -> stand_in(i, e)
    :: e > election[i] && i < them -> turn_to(i, e, WAITING, them)
    :: e == election[i] && standing[i] != ELECTED && them > highest[i] ->
        turn_to(i, e, WAITING, them)
    :: e == election[i] && standing[i] != ELECTED && them < highest[i] ->
        answer(i, e, them)
    :: e == election[i] && standing[i] != ELECTED && them == highest[i]
    :: e < election[i] || e == election[i] && standing[i] == ELECTED ->
        answer(i, e, them)
    fi
}

inline on_okay(i, e) {
    if
    :: e == election[i] && standing[i] == CANDIDATE -> standing[i] = WAITING
    :: else
    fi
}

inline on_coordinator(i, e, them) {
    if
    :: e < election[i] && highest[i] < them ->
        send(i, them, Stale, e, election[i])
    :: e < election[i] && highest[i] >= them && LEADS(i) ->
        send(i, them, Coordinator, election[i], 0)
    :: e < election[i] && highest[i] >= them && !LEADS(i)
    :: e >= election[i] && i > them -> stand_in(i, e + 1)     /* the bullying */
    :: e > election[i] && i < them -> turn_to(i, e, ELECTED, them)
    :: e == election[i] && i < them && them >= highest[i] &&
        !(standing[i] == ELECTED && highest[i] == them) ->
        turn_to(i, e, ELECTED, them)
    :: e == election[i] && i < them && (them < highest[i] ||
        standing[i] == ELECTED && highest[i] == them)
    fi
}

inline on_stale(i, e, c) {
    if
    :: e == election[i] && c >= e && (standing[i] == CANDIDATE || LEADS(i)) ->
        stand_in(i, c + 1)
    :: else
    fi
}

inline deliver(i, from) {
    LINK(from, i)?what, number, current;
    under_way--;
    sender = from;
    if
    :: what == Election -> on_election(i, number, sender)
    :: what == Okay -> on_okay(i, number)
    :: what == Coordinator -> on_coordinator(i, number, sender)
    :: what == Stale -> on_stale(i, number, current)
    fi;
    ASSERTION_1;
    forget_scratch()
}

/* What is under way to or from a node that fails is lost with the connection. */
inline disconnect(i) {
    peer = 0;
    do
    :: peer == N -> break
    :: peer < N && peer == i -> peer++
    :: peer < N && peer != i ->
        do
        :: len(LINK(i, peer)) > 0 -> LINK(i, peer)?what, number, current; under_way--
        :: else -> break
        od;
        do
        :: len(LINK(peer, i)) > 0 -> LINK(peer, i)?what, number, current; under_way--
        :: else -> break
        od;
        peer++
    od;
    peer = 0
}

#define ARRIVES(i, from) :: d_step { len(LINK(from, i)) > 0 -> deliver(i, from) }

/* One process for each node. */
proctype member(byte me) {
end:
    do
    ARRIVES(me, 0)
    ARRIVES(me, 1)
    ARRIVES(me, 2)
#if N > 3
    ARRIVES(me, 3)
#endif
    /* Nobody higher has answered: it has won. */
    :: d_step { standing[me] == CANDIDATE && QUIET && MAY_WIN(election[me]) ->
        standing[me] = ELECTED;
        send_to_all(me, Coordinator, election[me]);
        forget_scratch()
    }
    /* The higher node has not won, or the leader is silent: it must have failed. */
    :: d_step { (standing[me] == WAITING ||
            standing[me] == ELECTED && highest[me] != me) &&
            QUIET && election[me] < ELECTIONS ->
        stand_in(me, election[me] + 1);
        forget_scratch()
    }
    :: d_step { HEARTBEATS && LEADS(me) && QUIET ->
        send_to_all(me, Coordinator, election[me]);
        forget_scratch()
    }
    :: d_step { standing[me] != DOWN && crashes < CRASHES ->
        crashes++;
        standing[me] = DOWN;
        election[me] = 0;
        highest[me] = 0;
        disconnect(me);
        forget_scratch()
    }
    :: d_step { standing[me] == DOWN ->
        stand_in(me, 1);
        forget_scratch()
    }
    od
}

/* All are up before the first is heard: nobody's first words are lost. */
init {
    atomic {
        d_step {
            count = 0;
            do
            :: count < N -> highest[count] = count; election[count] = 1; count++
            :: else -> break
            od;
            count = 0;
            do
            :: count < N -> send_to_all(count, Election, 1); count++
            :: else -> break
            od;
            forget_scratch()
        };
        run member(0);
        run member(1);
        run member(2);
#if N > 3
        run member(3)
#endif
    }
}
