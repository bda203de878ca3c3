/* The life of a peer, as it stands in HELLO and STATUS. */
#ifndef HUBBUB_NET_PEER_STATE_H
#define HUBBUB_NET_PEER_STATE_H

enum peer_state {
    PEER_JOINING, /* looking for someone to take weights over from; declines requests */
    PEER_TRAINING,
    PEER_DONE,     /* its own --until is met; it trains on until most are */
    PEER_SETTLING, /* the vote passed: no steps; answers and initiates until all agree */
    PEER_ENDED,    /* its training is over: who joins may still take over its weights */
    PEER_LEAVING,  /* told to stop, or failing: finishes what is open */
    N_PEER_STATES
};

extern const char *const peer_state_names[N_PEER_STATES]; /* peer_state.c */

#endif
