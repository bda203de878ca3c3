#include "net/scores.h"

#include <string.h>

void scores_init(struct scores *s, const uint8_t self[WIRE_PEER_ID_BYTES])
{
    s->n = 1;
    s->next = 1;
    memset(&s->entries[0], 0, sizeof s->entries[0]);
    memcpy(s->entries[0].score.id, self, WIRE_PEER_ID_BYTES);
}

static uint32_t find(const struct scores *s, const uint8_t *id)
{
    uint32_t i = 0;
    while (i < s->n && memcmp(s->entries[i].score.id, id, WIRE_PEER_ID_BYTES) != 0)
        i++;
    return i;
}

static bool is_stale(const struct scores *s, uint32_t i, uint64_t now_us)
{
    return i > 0 && s->entries[i].score.final == 0 &&
           now_us - s->entries[i].heard_us > SCORES_STALE_US;
}

void scores_put(struct scores *s, const struct wire_score *score, uint64_t now_us)
{
    uint32_t i = find(s, score->id);
    if (i == 0)
        return;
    if (i == s->n) {
        if (s->n == SCORES_MAX)
            return;
        s->n++;
    } else if (score->beat <= s->entries[i].score.beat) {
        return;
    }
    s->entries[i].score = *score;
    s->entries[i].heard_us = now_us;
}

void scores_set_own(struct scores *s, uint64_t n, uint64_t n_correct, double loss, bool final)
{
    struct wire_score *own = &s->entries[0].score;
    own->n = n;
    own->n_correct = n_correct;
    /* A model that diverged has a loss that the wire does not take. */
    own->loss = loss >= 0 && loss < 1e30 ? (float)loss : 1e30f;
    own->final = final;
    own->beat++;
}

const struct wire_score *scores_own(struct scores *s)
{
    struct wire_score *own = &s->entries[0].score;
    if (own->n == 0)
        return NULL;
    own->beat++;
    return own;
}

const struct wire_score *scores_next(struct scores *s, uint64_t now_us)
{
    for (uint32_t tries = 1; tries < s->n; tries++) {
        uint32_t i = s->next < s->n ? s->next : 1;
        s->next = i + 1;
        if (!is_stale(s, i, now_us))
            return &s->entries[i].score;
    }
    return NULL;
}

const struct wire_score *scores_of(const struct scores *s, const uint8_t id[WIRE_PEER_ID_BYTES])
{
    uint32_t i = find(s, id);
    return i < s->n && s->entries[i].score.n > 0 ? &s->entries[i].score : NULL;
}

struct scores_sum scores_sum(const struct scores *s, uint64_t now_us)
{
    struct scores_sum sum = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        const struct wire_score *e = &s->entries[i].score;
        if (e->n == 0 || is_stale(s, i, now_us))
            continue;
        sum.n += e->n;
        sum.n_correct += e->n_correct;
        sum.loss += (double)e->loss * (double)e->n;
        sum.n_peers++;
    }
    if (sum.n > 0)
        sum.loss /= (double)sum.n;
    return sum;
}
