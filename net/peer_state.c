#include "net/peer_state.h"

const char *const peer_state_names[N_PEER_STATES] = {"joining", "training", "done", "settling",
                                                     "ended", "leaving"};
