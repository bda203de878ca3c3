#include "model/objective.h"

#include <math.h>

const char *const objective_names[N_OBJECTIVES + 1] = {"samples", "peers", "steps", 0};

float objective_factor(enum objective what, double samples, double speed, double evenness)
{
    double factor = 1;
    if (what == OBJECTIVE_SAMPLES && samples > 0)
        factor *= samples;
    if (what != OBJECTIVE_STEPS && speed > 0)
        factor /= sqrt(speed) * evenness;
    return (float)(factor < OBJECTIVE_FACTOR_MAX ? factor : OBJECTIVE_FACTOR_MAX);
}
