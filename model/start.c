#include "model/start.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/stage.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

const char *const start_normalize_names[N_START_NORMALIZE + 1] = {"none", "layer", NULL};

void start_rescale(const struct model *m, const float *initial, float *theta, double *factors)
{
    for (uint32_t i = 0; i < m->n_layers; i++) {
        struct stage l = model_stage(m, i, i + 1);
        float *own = theta + l.offset;
        factors[i] = 1;
        if (l.n_params == 0)
            continue;
        double norm = sqrt(vec_norm_sq(own, l.n_params));
        double wanted = sqrt(vec_norm_sq(initial + l.offset, l.n_params));
        factors[i] = norm > 0 ? wanted / norm : 0;
        for (uint64_t p = 0; norm > 0 && p < l.n_params; p++)
            own[p] = (float)((double)own[p] * factors[i]);
    }
}

static void log_factors(const struct model *m, const char *path, const double *factors)
{
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const struct layer *l = &m->nodes[m->starts[i]];
        const char *name = l->ops == &layer_transpose ? l[1].ops->name : l->ops->name;
        if (factors[i] == 0)
            log_warn("%s: layer %" PRIu32 " (%s) is all zeros: it cannot be scaled and stays", path,
                     i, name);
        else if (model_stage(m, i, i + 1).n_params > 0)
            log_info("%s: layer %" PRIu32 " (%s) times %.6g", path, i, name, factors[i]);
    }
}

int start_read(const struct model *m, const char *path, uint64_t seed, enum start_normalize how,
               float *theta, char hash[META_HASH_MAX], struct error *err)
{
    struct model_file f;
    int rc = model_file_open(&f, path, err);
    if (rc == 0)
        rc = model_file_read(&f, m, theta, err);
    model_file_close(&f);
    if (rc != 0)
        return rc;
    weights_hash(m, theta, hash);
    if (how == START_LAYER) {
        float *initial = MEM_NEW(float, m->dim);
        double *factors = MEM_NEW(double, m->n_layers);
        model_init(m, seed, initial);
        start_rescale(m, initial, theta, factors);
        log_factors(m, path, factors);
        free(factors);
        free(initial);
    }
    return 0;
}
