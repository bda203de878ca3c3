/* Push-sum: transfers that are taken in once, though links die (net/gossip.h). */
#include "net/gossip_inner.h"

uint64_t gossip_mass_under_way(const struct gossip *g, uint32_t slice)
{
    uint64_t units = 0;
    for (uint32_t i = 0; i < n_entries(g); i++) {
        const struct entry *e = &g->entries[i];
        bool returns = e->state == RETURNING || e->state == DROPPED_TAKING;
        if (e->mode == GOSSIP_PUSH_SUM && e->slice == slice && (is_live(e) || returns))
            units += mass_from_float(e->weight);
    }
    return units;
}

const struct mass_counts *gossip_mass_counts(const struct gossip *g)
{
    return mass_counts(book_of(g));
}

uint64_t gossip_mass_units(const struct gossip *g, uint32_t slice)
{
    return mass_units(book_of(g), slice);
}

static void acknowledge(struct gossip *g, struct gossip_update *out, const struct gossip_message *m)
{
    struct gossip_action *action = add(out, GOSSIP_SEND);
    action->send = *m;
    action->send.kind = GOSSIP_REPLY;
    action->send.buffer = GOSSIP_NONE;
    forget_buffer(out, m->buffer);
    mass_counts(book_of(g))->repeated++;
}

/* What came before is only acknowledged, also while it is being merged: the acknowledgement of the
 * first was lost, or would go out on a link that is no more. */
void sum_request(struct gossip *g, struct gossip_update *out, const struct gossip_message *m)
{
    struct mass_book *book = book_of(g);
    if (mass_is_noted(book, m->peer, m->slice, m->id)) {
        acknowledge(g, out, m);
        return;
    }
    if (!has_place(g, m)) {
        decline(g, out, m);
        return;
    }
    mass_note(book, m->peer, m->slice, m->id);
    struct entry *e = serve(g, m, MERGING);
    e->weight = m->mass;
    add_job(g, out, GOSSIP_MIX, e, m->buffer, mass_merge(book, m->slice, m->mass));
}

/* A transfer of which nobody knows whether it arrived, nor will know. */
static void give_up(struct gossip *g, struct entry *e)
{
    e->state = FORGOTTEN;
    mass_counts(book_of(g))->unknown++;
}

void sum_hold(struct gossip *g, struct entry *e, bool gone)
{
    g->counts.lost += !is_held(e);
    e->state = HELD;
    if (gone || g->phase >= GOSSIP_ENDED)
        give_up(g, e);
}

void sum_give_up(struct gossip *g)
{
    for (uint32_t i = 0; i < n_entries(g); i++)
        if (g->entries[i].state == HELD)
            give_up(g, &g->entries[i]);
}

bool sum_hold_no_longer(struct gossip *g)
{
    struct entry *oldest = NULL;
    for (uint32_t i = 0; i < n_entries(g); i++) {
        struct entry *e = &g->entries[i];
        if (e->state == HELD && (oldest == NULL || e->id < oldest->id))
            oldest = e;
    }
    if (oldest != NULL && ++oldest->blocked >= GOSSIP_PARK_AFTER)
        give_up(g, oldest);
    return oldest != NULL;
}

void sum_link_found(struct gossip *g, uint32_t peer, bool gone)
{
    for (uint32_t i = 0; i < n_entries(g); i++)
        if (g->entries[i].state == HELD && g->entries[i].peer == peer)
            g->entries[i].state = gone ? RETURNING : RESENDING;
    if (gone && g->config->mode == GOSSIP_PUSH_SUM)
        mass_forget(book_of(g), peer);
}

void sum_flush(struct gossip *g, struct gossip_update *out, struct entry *e)
{
    struct mass_book *book = book_of(g);
    if (e->state == RESENDING) {
        e->state = OPEN;
        e->blocked = 0;
        send_message(g, out, GOSSIP_REQUEST, e, e->buffer);
        mass_counts(book)->resent++;
        return;
    }
    e->state = MIXING;
    add_job(g, out, GOSSIP_MIX, e, e->buffer, mass_merge(book, e->slice, e->weight));
    mass_counts(book)->credited++;
}
