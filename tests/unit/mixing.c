/* Mixing matrices of small graphs, entry by entry. tests/convergence/spectra has their spectra. */
#include "sim/mixing.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(mixing, .timeout = 30);

enum { N_MAX = 16 };

static struct topology topology;
static struct mixing mixing;

static void open_mixing(const char *spec, uint32_t n, enum mixing_kind kind)
{
    struct error err = {0};
    cr_assert_eq(topology_init(&topology, spec, n, 1, &err), 0, "%s", err.text);
    mixing_init(&mixing, &topology, kind, 1);
}

static void matrix(uint64_t round, double w[N_MAX][N_MAX])
{
    struct mixing_entry row[N_MAX];
    memset(w, 0, sizeof(double) * N_MAX * N_MAX);
    for (uint32_t i = 0; i < topology.n; i++) {
        uint32_t n = mixing_row(&mixing, round, i, row);
        cr_assert(n <= 1 + mixing.degree_max && row[0].node == i);
        for (uint32_t k = 0; k < n; k++)
            w[i][row[k].node] += row[k].weight;
    }
}

Test(mixing, weights)
{
    double w[N_MAX][N_MAX];
    open_mixing("star", 5, MIXING_METROPOLIS);
    matrix(0, w);
    cr_assert_float_eq(w[0][3], 0.2, 1e-6);
    cr_assert_float_eq(w[3][3], 0.8, 1e-6);
    cr_assert_float_eq(w[0][0], 0.2, 1e-6);
    topology_close(&topology);
    open_mixing("path", 4, MIXING_UNIFORM);
    matrix(7, w);
    cr_assert_float_eq(w[0][0], 2.0 / 3, 1e-6);
    cr_assert_float_eq(w[1][2], 1.0 / 3, 1e-6);
    cr_assert_eq(w[0][2], 0);
    topology_close(&topology);
}

Test(mixing, one_peer_a_round)
{
    double w[N_MAX][N_MAX];
    open_mixing("one-peer-exponential", 12, MIXING_METROPOLIS);
    cr_assert_eq(mixing_period(&mixing), 4);
    for (uint64_t round = 0; round < 9; round++) {
        matrix(round, w);
        for (uint32_t i = 0; i < 12; i++)
            cr_assert(w[i][i] == 0.5 && w[i][(i + (1u << round % 4)) % 12] == 0.5);
    }
    topology_close(&topology);
}

/* Everybody but an odd one has one partner, who has it too; every pair comes up. */
Test(mixing, random_matchings)
{
    for (uint32_t n = 8; n <= 9; n++) {
        double w[N_MAX][N_MAX], seen[N_MAX][N_MAX] = {{0}};
        open_mixing("random", n, MIXING_METROPOLIS);
        cr_assert_eq(mixing_period(&mixing), 0);
        for (uint64_t round = 0; round < 200; round++) {
            uint32_t n_alone = 0;
            matrix(round, w);
            for (uint32_t i = 0; i < n; i++) {
                n_alone += w[i][i] == 1;
                for (uint32_t j = 0; j < n; j++) {
                    cr_assert_eq(w[i][j], w[j][i]);
                    cr_assert(w[i][j] == 0 || w[i][j] == 0.5 || i == j);
                    seen[i][j] += w[i][j] > 0;
                }
            }
            cr_assert_eq(n_alone, n % 2);
        }
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < n; j++)
                cr_assert(seen[i][j] > 0, "%u and %u never meet", i, j);
        topology_close(&topology);
    }
}
