/* A tile of the result stays in registers while the product runs along k. Each step reads
 * `vectors` registers of b and one number of a for each of `rows` rows: rows * vectors
 * multiply-adds for rows + vectors loads. Tiles of one column of tiles share their part of b,
 * which stays in the second-level cache: K_BLOCK rows of it at a time. */
#include "model/product.h"

#include "base/check.h"
#include "base/lanes.h"
#include "base/mem.h"
#include "base/prefetch.h"
#include "base/vec.h"
#include "model/ahead.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    ROWS_MAX = 12,
    K_BLOCK = 1024 /* times VECTORS_MAX registers: at most 256 KiB of b */
};

/* How many rows fit beside `vectors` registers of each, those of b and one of a, in the registers
 * there are: 32, or 16. A sum that has none waits for the cache twice a step. */
#if defined(__AVX512F__)
enum { VECTORS_MAX = 4 };
static const uint32_t rows_max[VECTORS_MAX + 1] = {0, 12, 12, 8, 6};
#else
enum { VECTORS_MAX = 2 };
static const uint32_t rows_max[VECTORS_MAX + 1] = {0, 12, 6};
#endif

#define UNROLL _Pragma("GCC unroll 16")

struct job {
    uint64_t k;
    const float *a;
    uint64_t a_row, a_column;
    const uint64_t *a_offsets; /* of rows; else NULL */
    const float *b;
    uint64_t b_row;
    const uint64_t *b_offsets;
    float beta;
    const float *bias; /* of these rows; or NULL */
    float *c;
    uint64_t c_row;
    float *x; /* -= lr * c; or NULL */
    float lr;
};

enum mode { PLAIN, OFFSETS_B, OFFSETS_A };

/* Rows are reached by adding: that leaves one address a row to compute, not one a vector. */
LANES_INLINE void finish(const struct job *j, int rows, int vectors,
                         lanes acc[ROWS_MAX][VECTORS_MAX])
{
    float *c = j->c, *x = j->x;
    lanes beta = lanes_all(j->beta), down = lanes_all(-j->lr);
    if (j->bias != NULL)
        UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) acc[i][v] +=
            lanes_all(j->bias[i]);
    if (j->beta == 0.0f)
        UNROLL for (int i = 0; i < rows; i++, c += j->c_row)
            UNROLL for (int v = 0; v < vectors; v++) lanes_store(c + v * LANES, acc[i][v]);
    else if (x != NULL)
        UNROLL for (int i = 0; i < rows; i++, c += j->c_row, x += j->c_row)
            UNROLL for (int v = 0; v < vectors; v++)
        {
            lanes sum = lanes_fma(beta, lanes_load(c + v * LANES), acc[i][v]);
            lanes_store(c + v * LANES, sum);
            lanes_store(x + v * LANES, lanes_fma(down, sum, lanes_load(x + v * LANES)));
        }
    else
        UNROLL for (int i = 0; i < rows; i++, c += j->c_row)
            UNROLL for (int v = 0; v < vectors; v++)
                lanes_store(c + v * LANES, lanes_fma(beta, lanes_load(c + v * LANES), acc[i][v]));
}

/* Where the result is added to, the next tile's part of it is asked for row by row during the
 * product: it lies in as many places as it has rows, too few bytes each for the processor to see a
 * pattern in. */
LANES_INLINE void tile(const struct job *j, int rows, int vectors, enum mode mode)
{
    lanes acc[ROWS_MAX][VECTORS_MAX], x[VECTORS_MAX];
    const float *a = j->a, *b = j->b, *starts[ROWS_MAX];
    const float *next = j->c + (uint64_t)rows * j->c_row;
    const float *next_x = j->x != NULL ? j->x + (uint64_t)rows * j->c_row : next;
    uint64_t k = j->k, a_row = j->a_row, a_column = j->a_column, b_row = j->b_row, p = 0;
    bool adds = mode == PLAIN && j->beta != 0.0f;
    UNROLL for (int i = 0; i < rows; i++)
    {
        starts[i] = mode == OFFSETS_A ? a + j->a_offsets[i] : a;
        UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = lanes_all(0.0f);
    }
    for (uint64_t r = 1; p < k; r++, next += j->c_row, next_x += j->c_row) {
        if (adds)
            UNROLL for (int v = 0; v < vectors; v++)
            {
                prefetch_line(next + v * LANES, true);
                prefetch_line(next_x + v * LANES, true);
            }
        for (uint64_t end = adds ? k * r / (uint64_t)rows : k; p < end; p++) {
            const float *at = mode == OFFSETS_B ? b + j->b_offsets[p] : b;
            UNROLL for (int v = 0; v < vectors; v++) x[v] = lanes_load(at + v * LANES);
            UNROLL for (int i = 0; i < rows; i++)
            {
                lanes w = lanes_all(mode == OFFSETS_A ? starts[i][p] : a[(uint64_t)i * a_row]);
                UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = lanes_fma(w, x[v], acc[i][v]);
            }
            a += a_column;
            b += mode == OFFSETS_B ? 0 : b_row;
        }
    }
    finish(j, rows, vectors, acc);
}

typedef void (*tile_fn)(const struct job *j);

#define TILE(mode, rows, vectors)                                                                  \
    static void mode##_##rows##x##vectors(const struct job *j)                                     \
    {                                                                                              \
        tile(j, rows, vectors, mode);                                                              \
    }
#define TILES_TO_6(mode, v)                                                                        \
    TILE(mode, 1, v)                                                                               \
    TILE(mode, 2, v) TILE(mode, 3, v) TILE(mode, 4, v) TILE(mode, 5, v) TILE(mode, 6, v)
#define TILES_TO_8(mode, v) TILES_TO_6(mode, v) TILE(mode, 7, v) TILE(mode, 8, v)
#define TILES_TO_12(mode, v)                                                                       \
    TILES_TO_8(mode, v) TILE(mode, 9, v) TILE(mode, 10, v) TILE(mode, 11, v) TILE(mode, 12, v)

#define NAMES_TO_6(m, v)  NULL, m##_1x##v, m##_2x##v, m##_3x##v, m##_4x##v, m##_5x##v, m##_6x##v
#define NAMES_TO_8(m, v)  NAMES_TO_6(m, v), m##_7x##v, m##_8x##v
#define NAMES_TO_12(m, v) NAMES_TO_8(m, v), m##_9x##v, m##_10x##v, m##_11x##v, m##_12x##v

#if defined(__AVX512F__)
#define TILES(mode)                                                                                \
    TILES_TO_12(mode, 1) TILES_TO_12(mode, 2) TILES_TO_8(mode, 3) TILES_TO_6(mode, 4)
#define NAMES(m)                                                                                   \
    {                                                                                              \
        {NULL}, {NAMES_TO_12(m, 1)}, {NAMES_TO_12(m, 2)}, {NAMES_TO_8(m, 3)},                      \
        {                                                                                          \
            NAMES_TO_6(m, 4)                                                                       \
        }                                                                                          \
    }
#else
#define TILES(mode) TILES_TO_12(mode, 1) TILES_TO_6(mode, 2)
#define NAMES(m)                                                                                   \
    {                                                                                              \
        {NULL}, {NAMES_TO_12(m, 1)},                                                               \
        {                                                                                          \
            NAMES_TO_6(m, 2)                                                                       \
        }                                                                                          \
    }
#endif
TILES(PLAIN)
TILES(OFFSETS_B)
TILES(OFFSETS_A)
static const tile_fn tiles[3][VECTORS_MAX + 1][ROWS_MAX + 1] = {NAMES(PLAIN), NAMES(OFFSETS_B),
                                                                NAMES(OFFSETS_A)};

/* A column of tiles: all m rows, evenly cut. */
static void panel(struct job j, uint64_t m, uint32_t vectors, enum mode mode)
{
    uint64_t n_tiles = (m + rows_max[vectors] - 1) / rows_max[vectors];
    const float *a = j.a, *bias = j.bias;
    const uint64_t *a_offsets = j.a_offsets;
    float *c = j.c, *x = j.x;
    for (uint64_t t = 0, i = 0; t < n_tiles; t++) {
        uint64_t end = m * (t + 1) / n_tiles;
        j.a = mode == OFFSETS_A ? a : a + i * j.a_row;
        j.a_offsets = mode == OFFSETS_A ? a_offsets + i : NULL;
        j.bias = bias != NULL ? bias + i : NULL;
        j.c = c + i * j.c_row;
        j.x = x != NULL ? x + i * j.c_row : NULL;
        tiles[mode][vectors][end - i](&j);
        ahead_worked(j.k * (end - i) * vectors);
        i = end;
    }
}

/* Rows of b that offsets name lie multiples of the batch apart, often of 256 bytes. Of a panel as
 * wide as a cache line all of them then share a quarter of the nearest cache's sets, and fall out
 * of it from tile to tile: so it is packed first, if enough tiles read it. */
enum { PANEL_BYTES = VECTORS_MAX * LANES * sizeof(float), PACK_TILES = 4 };

static bool gains_by_packing(uint64_t m, uint32_t vectors, enum mode mode)
{
    return PANEL_BYTES <= MEM_ALIGN && mode == OFFSETS_B && vectors == VECTORS_MAX &&
           m >= PACK_TILES * rows_max[vectors];
}

static void packed_panel(struct job j, uint64_t m)
{
    _Alignas(MEM_ALIGN) float packed[K_BLOCK][VECTORS_MAX * LANES];
    for (uint64_t p = 0; p < j.k; p++)
        memcpy(packed[p], j.b + j.b_offsets[p], sizeof packed[p]);
    j.b = packed[0];
    j.b_row = VECTORS_MAX * LANES;
    panel(j, m, VECTORS_MAX, PLAIN);
}

/* The last n < LANES columns, through copies that are whole registers wide. */
static void narrow_panel(struct job j, uint64_t m, uint64_t n, enum mode mode)
{
    float b[K_BLOCK][LANES], c[ROWS_MAX][LANES] = {0}, *c_out = j.c, *x = j.x;
    for (uint64_t p = 0; p < j.k; p++) {
        memcpy(b[p], j.b + (mode == OFFSETS_B ? j.b_offsets[p] : p * j.b_row), n * sizeof(float));
        memset(b[p] + n, 0, (LANES - n) * sizeof(float));
    }
    j.b = b[0];
    j.b_row = LANES;
    j.c = c[0];
    uint64_t c_row = j.c_row;
    j.c_row = LANES;
    j.x = NULL;
    for (uint64_t i = 0; i < m; i += ROWS_MAX) {
        uint64_t rows = m - i < ROWS_MAX ? m - i : ROWS_MAX;
        for (uint64_t r = 0; r < rows && j.beta != 0.0f; r++)
            memcpy(c[r], c_out + (i + r) * c_row, n * sizeof(float));
        panel(j, rows, 1, mode == OFFSETS_A ? OFFSETS_A : PLAIN);
        for (uint64_t r = 0; r < rows; r++)
            memcpy(c_out + (i + r) * c_row, c[r], n * sizeof(float));
        for (uint64_t r = 0; r < rows && x != NULL; r++)
            vec_add_scaled(x + (i + r) * c_row, -j.lr, c[r], n);
        j.a += mode == OFFSETS_A ? 0 : rows * j.a_row;
        j.a_offsets += mode == OFFSETS_A ? rows : 0;
        j.bias += j.bias != NULL ? rows : 0;
    }
}

static void run(struct job j, uint64_t m, uint64_t n, enum mode mode)
{
    const float *b = j.b;
    float *c = j.c, *x = j.x;
    for (uint64_t at = 0; at < n;) {
        uint64_t left = (n - at) / LANES;
        uint32_t vectors = left < VECTORS_MAX ? (uint32_t)left : VECTORS_MAX;
        j.b = b + at;
        j.c = c + at;
        j.x = x != NULL ? x + at : NULL;
        if (gains_by_packing(m, vectors, mode))
            packed_panel(j, m);
        else if (vectors > 0)
            panel(j, m, vectors, mode);
        else
            narrow_panel(j, m, n - at, mode);
        at += vectors > 0 ? vectors * LANES : n - at;
    }
}

static void run_blocks(struct job j, uint64_t m, uint64_t n, uint64_t k, enum mode mode)
{
    float *x = j.x;
    for (uint64_t p = 0; p == 0 || p < k; p += K_BLOCK) {
        j.k = k - p < K_BLOCK ? k - p : K_BLOCK;
        j.x = p + K_BLOCK < k ? NULL : x;
        run(j, m, n, mode);
        j.a += K_BLOCK * j.a_column;
        j.b += mode == OFFSETS_B ? 0 : K_BLOCK * j.b_row;
        j.b_offsets += mode == OFFSETS_B ? K_BLOCK : 0;
        j.beta = 1.0f;
        j.bias = NULL;
    }
}

static struct job job_of(struct factor a, struct rows b, float beta, float *c, uint64_t c_row)
{
    return (struct job){.a = a.at,
                        .a_row = a.row,
                        .a_column = a.column,
                        .b = b.at,
                        .b_row = b.row,
                        .b_offsets = b.offsets,
                        .beta = beta,
                        .c = c,
                        .c_row = c_row};
}

uint32_t product_width(void)
{
    return VECTORS_MAX * LANES;
}

void product(uint64_t m, uint64_t n, uint64_t k, struct factor a, struct rows b, float beta,
             const float *bias, float *c, uint64_t c_row)
{
    struct job j = job_of(a, b, beta, c, c_row);
    j.bias = bias;
    run_blocks(j, m, n, k, b.offsets != NULL ? OFFSETS_B : PLAIN);
}

void product_descend(uint64_t m, uint64_t n, uint64_t k, struct factor a, struct rows b, float beta,
                     float *c, uint64_t c_row, float *x, float lr)
{
    struct job j = job_of(a, b, beta, c, c_row);
    CHECK(x == NULL || beta > 0.0f);
    j.x = x;
    j.lr = lr;
    run_blocks(j, m, n, k, b.offsets != NULL ? OFFSETS_B : PLAIN);
}

void product_of_rows(uint64_t m, uint64_t n, uint64_t k, struct rows a, struct rows b, float beta,
                     float *c, uint64_t c_row)
{
    struct job j = {.a = a.at,
                    .a_row = a.row,
                    .a_column = 1,
                    .a_offsets = a.offsets,
                    .b = b.at,
                    .b_row = b.row,
                    .beta = beta,
                    .c = c,
                    .c_row = c_row};
    run_blocks(j, m, n, k, a.offsets != NULL ? OFFSETS_A : PLAIN);
}

/* ---- both sides along their rows ------------------------------------------------------------ */
enum { DOT_ROWS = 4, DOT_COLUMNS = 6 };

struct dot_job {
    uint64_t n_runs[2], length;
    const float *a[DOT_ROWS], *b[DOT_COLUMNS];
    uint64_t a_step[2], b_step[2];
    float sums[DOT_ROWS][DOT_COLUMNS];
};

/* The first `left` floats, then zeros. */
LANES_INLINE lanes load_first(const float *p, uint64_t left)
{
    float part[LANES] = {0};
    memcpy(part, p, left * sizeof *p);
    return lanes_load(part);
}

LANES_INLINE void dot_step(int rows, int columns, lanes x[DOT_ROWS], lanes y[DOT_COLUMNS],
                           lanes acc[DOT_ROWS][DOT_COLUMNS])
{
    UNROLL for (int c = 0; c < columns; c++) UNROLL for (int r = 0; r < rows; r++) acc[r][c] =
        lanes_fma(x[r], y[c], acc[r][c]);
}

LANES_INLINE void dot_tile(struct dot_job *j, int rows, int columns)
{
    lanes acc[DOT_ROWS][DOT_COLUMNS], x[DOT_ROWS], y[DOT_COLUMNS];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < columns; c++) acc[r][c] =
        lanes_all(0.0f);
    for (uint64_t run = 0; run < j->n_runs[0] * j->n_runs[1]; run++) {
        uint64_t outer = run / j->n_runs[1], inner = run % j->n_runs[1], p = 0;
        uint64_t a = outer * j->a_step[0] + inner * j->a_step[1];
        uint64_t b = outer * j->b_step[0] + inner * j->b_step[1];
        for (; p + LANES <= j->length; p += LANES) {
            UNROLL for (int r = 0; r < rows; r++) x[r] = lanes_load(j->a[r] + a + p);
            UNROLL for (int c = 0; c < columns; c++) y[c] = lanes_load(j->b[c] + b + p);
            dot_step(rows, columns, x, y, acc);
        }
        if (p == j->length)
            continue;
        UNROLL for (int r = 0; r < rows; r++) x[r] = load_first(j->a[r] + a + p, j->length - p);
        UNROLL for (int c = 0; c < columns; c++) y[c] = load_first(j->b[c] + b + p, j->length - p);
        dot_step(rows, columns, x, y, acc);
    }
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < columns; c++) j->sums[r][c] =
        lanes_sum(acc[r][c]);
}

typedef void (*dot_fn)(struct dot_job *j);

#define DOT(rows, columns)                                                                         \
    static void dot_##rows##x##columns(struct dot_job *j)                                          \
    {                                                                                              \
        dot_tile(j, rows, columns);                                                                \
    }
#define DOTS(columns) DOT(1, columns) DOT(2, columns) DOT(3, columns) DOT(4, columns)
DOTS(1)
DOTS(2)
DOTS(3)
DOTS(4)
DOTS(5)
DOTS(6)
#define DOT_NAMES(c)                                                                               \
    {                                                                                              \
        NULL, dot_1x##c, dot_2x##c, dot_3x##c, dot_4x##c                                           \
    }
static const dot_fn dots[DOT_COLUMNS + 1][DOT_ROWS + 1] = {
    {NULL}, DOT_NAMES(1), DOT_NAMES(2), DOT_NAMES(3), DOT_NAMES(4), DOT_NAMES(5), DOT_NAMES(6)};

static const float *row_at(struct rows rows, uint64_t i)
{
    return rows.at + (rows.offsets != NULL ? rows.offsets[i] : i * rows.row);
}

/* Lanes are floats for at most DOT_SPAN products or one run, then added up in double: that keeps
 * the sum over a whole batch of images as exact as one over a few. */
static void dot_runs(struct dot_job j, uint64_t rows, uint64_t columns,
                     double totals[DOT_ROWS][DOT_COLUMNS])
{
    enum { DOT_SPAN = 16384 };
    uint64_t n_runs = j.n_runs[0], per_run = j.n_runs[1] * j.length;
    uint64_t most = per_run > 0 && per_run < DOT_SPAN ? DOT_SPAN / per_run : 1;
    for (uint64_t run = 0; run < n_runs; run += most) {
        j.n_runs[0] = n_runs - run < most ? n_runs - run : most;
        dots[columns][rows](&j);
        for (uint64_t r = 0; r < rows; r++)
            for (uint64_t c = 0; c < columns; c++)
                totals[r][c] += (double)j.sums[r][c];
        for (uint64_t r = 0; r < rows; r++)
            j.a[r] += most * j.a_step[0];
        for (uint64_t c = 0; c < columns; c++)
            j.b[c] += most * j.b_step[0];
    }
}

void product_dot(uint64_t m, uint64_t n, const uint64_t n_runs[2], uint64_t length, struct runs a,
                 struct runs b, float beta, float *c, uint64_t c_row)
{
    uint64_t n_down = (m + DOT_ROWS - 1) / DOT_ROWS, n_across = (n + DOT_COLUMNS - 1) / DOT_COLUMNS;
    struct dot_job j = {.n_runs = {n_runs[0], n_runs[1]},
                        .length = length,
                        .a_step = {a.step[0], a.step[1]},
                        .b_step = {b.step[0], b.step[1]}};
    for (uint64_t s = 0; s < n_across; s++) {
        uint64_t left = n * s / n_across, columns = n * (s + 1) / n_across - left;
        for (uint64_t q = 0; q < columns; q++)
            j.b[q] = row_at(b.rows, left + q);
        for (uint64_t t = 0; t < n_down; t++) {
            double totals[DOT_ROWS][DOT_COLUMNS] = {0};
            uint64_t top = m * t / n_down, rows = m * (t + 1) / n_down - top;
            for (uint64_t r = 0; r < rows; r++)
                j.a[r] = row_at(a.rows, top + r);
            dot_runs(j, rows, columns, totals);
            ahead_worked(n_runs[0] * n_runs[1] * length * rows * columns / LANES);
            for (uint64_t r = 0; r < rows; r++)
                for (uint64_t q = 0; q < columns; q++) {
                    float *at = c + (top + r) * c_row + left + q, sum = (float)totals[r][q];
                    *at = beta != 0.0f ? fmaf(beta, *at, sum) : sum;
                }
        }
    }
}

/* ---- transposing ----------------------------------------------------------------------------- */
enum { BLOCK = 8 };
typedef float block_row __attribute__((vector_size(BLOCK * sizeof(float))));

/* Exchanges the off-diagonal quarters of squares of 2, then of 4, then of 8. */
LANES_INLINE void transpose_block(const float *from, uint64_t from_row, float *to, uint64_t to_row)
{
    block_row r[BLOCK], s[BLOCK];
    UNROLL for (int i = 0; i < BLOCK; i++)
        memcpy(&r[i], from + (uint64_t)i * from_row, sizeof r[i]);
    UNROLL for (int i = 0; i < BLOCK; i += 2)
    {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    UNROLL for (int q = 0; q < 4; q++)
    {
        int i = q / 2 * 4 + q % 2;
        r[i] = __builtin_shufflevector(s[i], s[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 2] = __builtin_shufflevector(s[i], s[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    UNROLL for (int i = 0; i < BLOCK / 2; i++)
    {
        s[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        s[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    UNROLL for (int i = 0; i < BLOCK; i++) memcpy(to + (uint64_t)i * to_row, &s[i], sizeof s[i]);
}

/* Two blocks down at a time fill whole cache lines of `to`. */
void transpose(uint64_t n_rows, uint64_t n_columns, const float *from, uint64_t from_row, float *to,
               uint64_t to_row)
{
    uint64_t rows = n_rows / BLOCK * BLOCK, columns = n_columns / BLOCK * BLOCK;
    for (uint64_t i = 0; i < rows; i += 2 * BLOCK)
        for (uint64_t j = 0; j < columns; j += BLOCK) {
            transpose_block(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
            if (i + BLOCK < rows)
                transpose_block(from + (i + BLOCK) * from_row + j, from_row,
                                to + j * to_row + i + BLOCK, to_row);
        }
    for (uint64_t i = 0; i < n_rows; i++)
        for (uint64_t j = i < rows ? columns : 0; j < n_columns; j++)
            to[j * to_row + i] = from[i * from_row + j];
}
