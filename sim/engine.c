/* Windows of virtual time.
 *
 * No message is faster than the network's floor, so what nodes do within one day of that length
 * cannot reach another node before the next. Where latencies are drawn ahead, it is known of later
 * days too; so many are one window, within which nodes are independent. Each thread owns a range of
 * nodes, and keeps the calendar of what happens to them; in a window it lists those of them to
 * which something does. They are run one after another, each from the start of the window to its
 * end, in portions: a thread takes those of its own list, and then what is left of the others', so
 * that one that has less to do, or a faster processor, does not wait. Mail to nodes of other
 * threads is handed over between two windows, where all threads meet. A node meets its letters in
 * the order (arrival, src, number), so it makes no difference who runs it, or after whom. */
#include "sim/check.h"
#include "sim/inner.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/prefetch.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMER = UINT32_MAX,   /* instead of a letter */
    AHEAD = 2,            /* visits between asking the memory for a node and running it */
    MAIL_AHEAD = 2,       /* letters between asking for the memory of one and writing it */
    FEW = 32,             /* visits that are sorted by insertion */
    VISITS = 512,         /* of a thread in a window, where one may last so long */
    DAYS_MAX = 64,        /* of a window */
    PORTION_BYTES = 1024, /* of nodes, in a portion of a list at least */
    LOOKS = 40000,        /* some tens of microseconds, while a thread waits for another */
    TICKET_BITS = 32      /* of the next visit; those above are the window's first day */
};

/* ---- what happens in a window ---------------------------------------------------------------- */

int visit_compare(const void *a, const void *b, void *letters_due)
{
    const struct visit *x = a, *y = b;
    const struct letter *letters = letters_due;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    if (x->letter == TIMER || y->letter == TIMER)
        return (y->letter == TIMER) - (x->letter == TIMER);
    const struct letter *l = &letters[x->letter], *m = &letters[y->letter];
    if (l->arrival_us != m->arrival_us)
        return l->arrival_us < m->arrival_us ? -1 : 1;
    if ((l->parcel == PARCEL_NONE) != (m->parcel == PARCEL_NONE))
        return l->parcel == PARCEL_NONE ? -1 : 1;
    if (l->src != m->src)
        return l->src < m->src ? -1 : 1;
    return (l->number > m->number) - (l->number < m->number);
}

static void sort_few(struct visit *v, size_t n, struct letter *letters)
{
    for (size_t i = 1; i < n; i++) {
        struct visit visit = v[i];
        size_t at = i;
        while (at > 0 && visit_compare(&v[at - 1], &visit, letters) > 0) {
            v[at] = v[at - 1];
            at--;
        }
        v[at] = visit;
    }
}

static void make_room(struct worker *w, size_t n)
{
    if (n <= w->visits_max)
        return;
    free(w->visits);
    free(w->apart);
    free(w->starts);
    w->visits_max = 2 * n;
    w->visits = MEM_NEW(struct visit, w->visits_max);
    w->apart = MEM_NEW(struct visit, w->visits_max);
    w->starts = MEM_NEW(uint32_t, w->visits_max + 2);
}

/* The timers and letters that are due. The first line of each record is asked for, so that all wait
 * together for their pages to be looked up. */
static void list_visits(struct worker *w)
{
    const struct sim *s = w->sim;
    const uint32_t *timers = w->timers_due.items;
    const struct letter *letters = w->letters_due.items;
    size_t n_timers = w->timers_due.n, n_letters = w->letters_due.n;
    w->n_visits = n_timers + n_letters;
    make_room(w, w->n_visits);
    for (size_t i = 0; i < n_timers; i++) {
        w->visits[i] = (struct visit){.node = timers[i], .letter = TIMER};
        prefetch_early(sim_node(s, timers[i]));
    }
    for (size_t i = 0; i < n_letters; i++) {
        w->visits[n_timers + i] = (struct visit){.node = letters[i].dst, .letter = (uint32_t)i};
        prefetch_early(sim_node(s, letters[i].dst));
        if (letters[i].parcel != PARCEL_NONE)
            prefetch_early(parcel_at(&s->parcels, letters[i].parcel));
    }
}

/* Moves the visits to nodes that are visited more than once out of the list. Returns how many.
 * Which node comes first does not matter, only what happens first to a node. And as they were
 * listed, like follows like: the processor foresees what each will do. */
static size_t set_apart(struct worker *w)
{
    uint64_t any_again = 0;
    for (size_t i = 0; i < w->n_visits; i++) {
        uint32_t at = w->visits[i].node - w->first;
        uint64_t bit = UINT64_C(1) << at % 64, again = w->seen[at / 64] & bit;
        w->seen[at / 64] |= bit;
        w->again[at / 64] |= again;
        any_again |= again;
    }
    size_t n_kept = 0, n_apart = 0;
    for (size_t i = 0; any_again != 0 && i < w->n_visits; i++) {
        struct visit visit = w->visits[i];
        uint32_t at = visit.node - w->first;
        if ((w->again[at / 64] >> at % 64 & 1) != 0)
            w->apart[n_apart++] = visit;
        else
            w->visits[n_kept++] = visit;
    }
    for (size_t i = 0; i < w->n_visits; i++) {
        uint32_t at = w->visits[i].node - w->first;
        w->seen[at / 64] = w->again[at / 64] = 0;
    }
    return n_apart;
}

/* Puts those that were set apart behind the others, sorted by node: dealt out to about as many
 * stretches of nodes as there are visits, each then sorted for itself. */
static void sort_apart(struct worker *w, size_t n)
{
    const struct visit *apart = w->apart;
    struct visit *sorted = w->visits + w->n_visits - n;
    struct letter *letters = w->letters_due.items;
    uint32_t shift = 0;
    while ((uint64_t)(w->end - w->first - 1) >> shift >= n)
        shift++;
    uint32_t n_stretches = ((w->end - w->first - 1) >> shift) + 1;
    memset(w->starts, 0, (n_stretches + 1) * sizeof *w->starts);
    for (size_t i = 0; i < n; i++)
        w->starts[((apart[i].node - w->first) >> shift) + 1]++;
    for (uint32_t k = 0; k < n_stretches; k++)
        w->starts[k + 1] += w->starts[k];
    for (size_t i = 0; i < n; i++)
        sorted[w->starts[(apart[i].node - w->first) >> shift]++] = apart[i];
    for (uint32_t k = 0, from = 0; k < n_stretches; k++) {
        uint32_t to = w->starts[k];
        if (to - from > FEW)
            qsort_r(sorted + from, to - from, sizeof *sorted, visit_compare, letters);
        else
            sort_few(sorted + from, to - from, letters);
        from = to;
    }
}

/* Visits at..end of the owner's list, which are all that there are to their nodes. */
struct portion {
    struct worker *owner;
    size_t at, end;
    size_t asked; /* the memory has been asked for those before */
};

/* Where visit i belongs to the node of the one before it, behind that node's last one. */
static size_t whole_nodes(const struct worker *owner, size_t i)
{
    while (i > 0 && i < owner->n_visits && owner->visits[i].node == owner->visits[i - 1].node)
        i++;
    return i < owner->n_visits ? i : owner->n_visits;
}

/* Takes the next visits of the portion's list, which is of that window: of two threads, half of
 * what is left (guided self-scheduling: Polychronopoulos and Kuck 1987), since a portion costs a
 * trip to another processor's cache, and the last ones make up for differences. False: there are
 * none. */
static bool take_visits(const struct sim *s, struct portion *p, uint64_t window)
{
    struct worker *owner = p->owner;
    size_t fewest = s->stride < PORTION_BYTES ? PORTION_BYTES / s->stride : 1;
    uint64_t ticket = atomic_load_explicit(&owner->ticket, memory_order_acquire);
    do {
        if (ticket >> TICKET_BITS != window) /* not listed yet */
            return false;
        size_t left = owner->n_visits - (uint32_t)ticket;
        size_t share = s->shares ? left / s->config.n_threads : left;
        share = share < fewest ? fewest : share;
        if (left == 0)
            return false;
        p->at = (uint32_t)ticket;
        p->end = p->at + (share < left ? share : left);
    } while (!atomic_compare_exchange_weak_explicit(&owner->ticket, &ticket,
                                                    window << TICKET_BITS | p->end,
                                                    memory_order_acquire, memory_order_acquire));
    p->at = whole_nodes(owner, p->at);
    p->end = whole_nodes(owner, p->end);
    return true;
}

/* Sets p to the portion after it: of its list or, when that is through, of the next thread's, until
 * it is the thread's own again. False: there is none. */
static bool next_portion(const struct worker *w, struct window window, struct portion *p)
{
    const struct sim *s = w->sim;
    for (;;) {
        while (take_visits(s, p, window.first))
            if (p->at < p->end)
                return true;
        struct worker *next = &s->workers[(p->owner->index + 1) % s->config.n_threads];
        if (!s->shares || next == w)
            return false;
        *p = (struct portion){.owner = next};
    }
}

/* Asks the memory for the nodes and parcels of the list's visits before end. */
PREFETCH_INLINE void ask_for(struct portion *p, size_t end)
{
    const struct worker *owner = p->owner;
    const struct sim *s = owner->sim;
    end = end < owner->n_visits ? end : owner->n_visits;
    p->asked = p->asked < p->at ? p->at : p->asked;
    for (; p->asked < end; p->asked++) {
        const struct visit *visit = &owner->visits[p->asked];
        prefetch(sim_node(s, visit->node), s->stride, false);
        if (visit->letter == TIMER)
            continue;
        const struct letter *letters = owner->letters_due.items;
        uint32_t parcel = letters[visit->letter].parcel;
        if (parcel != PARCEL_NONE)
            prefetch(parcel_at(&s->parcels, parcel), s->parcels.stride, s->parcels.is_shared);
    }
}

/* The batch of the node after this one, whose record has come by now: it will step if its step
 * ends in this window, or, on-receive, if it gets a letter. */
static void expect_visit(struct worker *w, const struct visit *visit, uint64_t end_us)
{
    const struct sim *s = w->sim;
    bool steps = s->config.train == SIM_ON_RECEIVE ? visit->letter != TIMER
                                                   : sim_node(s, visit->node)->busy_us < end_us;
    if (steps)
        peer_expect(w, visit->node);
}

/* Runs a portion and sets p to the one after it. False: there is none. Of small nodes that is taken
 * in time to be asked for; a step of a large one takes so long that others may want it sooner. */
static bool run_portion(struct worker *w, struct window window, struct portion *p)
{
    struct sim *s = w->sim;
    struct worker *owner = w->owner = p->owner;
    struct visit *visits = owner->visits;
    struct letter *letters = owner->letters_due.items;
    uint64_t end_us = window.end * s->day_us;
    bool is_small = s->stride <= PORTION_BYTES, has_next = true;
    for (size_t from = p->at, end = p->end, to; from < end; from = to) {
        uint32_t id = visits[from].node;
        size_t letters_from = from;
        for (to = from + 1; to < end && visits[to].node == id;)
            to++;
        while (letters_from < to && visits[letters_from].letter == TIMER)
            letters_from++;
        size_t n_letters = to - letters_from;
        if (s->way_in_us != NULL)
            n_letters = way_in_pass(w, id, letters, visits + letters_from, n_letters, end_us);
        if (to < end)
            p->at = to;
        else
            has_next = is_small && next_portion(w, window, p);
        if (has_next) {
            ask_for(p, p->at + AHEAD);
            expect_visit(w, &p->owner->visits[p->at], end_us);
        }
        peer_run(w, id, letters, visits + letters_from, n_letters, end_us);
    }
    return has_next || (!is_small && next_portion(w, window, p));
}

/* How many days of so many visits each are worth a window. */
static uint32_t days_ahead(uint64_t visits)
{
    uint64_t days = visits > 0 ? VISITS / visits : DAYS_MAX;
    return days < 1 ? 1 : days < DAYS_MAX ? (uint32_t)days : DAYS_MAX;
}

static void run_window(struct worker *w, struct window window)
{
    w->timers_due.n = w->letters_due.n = 0;
    calendar_take(&w->timers, window.end, &w->timers_due);
    calendar_take(&w->letters, window.end, &w->letters_due);
    list_visits(w);
    size_t n_apart = set_apart(w);
    if (n_apart > 0)
        sort_apart(w, n_apart);
    w->days_ahead = days_ahead(w->n_visits / (window.end - window.first));
    atomic_store_explicit(&w->ticket, window.first << TICKET_BITS, memory_order_release);
    struct portion portion = {.owner = w};
    bool has_portion = next_portion(w, window, &portion);
    if (has_portion)
        ask_for(&portion, portion.at + AHEAD);
    while (has_portion)
        has_portion = run_portion(w, window, &portion);
}

/* ---- between windows ------------------------------------------------------------------------ */

/* What comes in a letter makes its receiver send something, unless only its deadlines do. */
static uint32_t reach_of_letter(const struct worker *w)
{
    return w->sim->foresees ? CALENDAR_FAR : 1;
}

static void add_letter(struct worker *w, const struct letter *letter)
{
    struct letter *at =
        calendar_place(&w->letters, sim_day(w->sim, letter->arrival_us), reach_of_letter(w));
    /* Field by field, as it was written just now: a wider copy would wait for all of them. */
    at->arrival_us = letter->arrival_us;
    at->sent_us = letter->sent_us;
    at->dst = letter->dst;
    at->src = letter->src;
    at->number = letter->number;
    at->parcel = letter->parcel;
}

static void add_timer(struct worker *w, uint32_t node, uint64_t day, uint32_t reach)
{
    *(uint32_t *)calendar_place(&w->timers, day, reach) = node;
}

static bool is_mine(const struct worker *w, uint32_t node)
{
    return node >= w->first && node < w->end;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* To the thread that keeps the calendar of a node: something happens to it that day. */
static struct mail *mail_for(struct worker *w, uint32_t node, uint64_t day, uint32_t reach)
{
    const struct sim *s = w->sim;
    uint32_t to = (uint32_t)((uint64_t)node * s->config.n_threads / s->config.n_nodes);
    while (node >= s->workers[to].end)
        to++;
    while (node < s->workers[to].first)
        to--;
    w->next.first = least(w->next.first, day);
    w->next.end = least(w->next.end, day + reach);
    return &w->out[w->round % 2][to];
}

/* For one more than n. */
static void *grown(void *items, size_t n, size_t *max, size_t each)
{
    if (n < *max)
        return items;
    *max = *max > 0 ? 2 * *max : 256;
    void *more = realloc(items, *max * each);
    CHECK(more != NULL);
    return more;
}

void engine_post(struct worker *w, const struct letter *letter)
{
    if (is_mine(w, letter->dst)) {
        add_letter(w, letter);
        return;
    }
    struct mail *out =
        mail_for(w, letter->dst, sim_day(w->sim, letter->arrival_us), reach_of_letter(w));
    out->letters = grown(out->letters, out->n_letters, &out->letters_max, sizeof *out->letters);
    out->letters[out->n_letters++] = *letter;
    /* The line of a later one is with the receiver, who read what was there before. */
    size_t ahead = out->n_letters + MAIL_AHEAD;
    if (ahead < out->letters_max)
        prefetch_line((const char *)&out->letters[ahead], true);
}

void engine_set_timer(struct worker *w, uint32_t id, uint64_t day, uint32_t reach)
{
    if (is_mine(w, id)) {
        add_timer(w, id, day, reach);
        return;
    }
    struct mail *out = mail_for(w, id, day, reach);
    out->timers = grown(out->timers, out->n_timers, &out->timers_max, sizeof *out->timers);
    out->timers[out->n_timers++] = (struct timer){.day = day, .node = id, .reach = reach};
}

static void hand_over(struct handover *over, const struct mail *out, struct window next,
                      uint64_t round)
{
    over->next = next;
    over->letters = out->letters;
    over->timers = out->timers;
    over->n_letters = out->n_letters;
    over->n_timers = out->n_timers;
    atomic_store_explicit(&over->round, round, memory_order_release);
}

/* Looks for it, since threads meet every few microseconds, and a call of the system takes some too;
 * then offers the processor to others. */
static void wait_for(const struct handover *in, uint64_t round)
{
    uint32_t looks = 0;
    while (atomic_load_explicit(&in->round, memory_order_acquire) != round)
        if (++looks > LOOKS)
            sched_yield();
}

static void take_in(struct worker *w, const struct handover *in)
{
    for (size_t i = 0; i < in->n_letters; i++)
        add_letter(w, &in->letters[i]);
    for (size_t i = 0; i < in->n_timers; i++)
        add_timer(w, in->timers[i].node, in->timers[i].day, in->timers[i].reach);
}

/* The window that is next for all that a thread knows. */
static struct window next_window(const struct worker *w)
{
    uint64_t days = w->days_ahead;
    return (struct window){
        .first = least(w->next.first, least(calendar_next(&w->timers), calendar_next(&w->letters))),
        .end = least(w->next.end,
                     least(calendar_reach(&w->timers, days), calendar_reach(&w->letters, days)))};
}

/* Exchanges mail and agrees on the next window in which anything happens. Nobody goes on before all
 * others have come so far: what a thread wrote two rounds before was read, and is written over. */
static struct window meet(struct worker *w)
{
    struct sim *s = w->sim;
    uint32_t n = s->config.n_threads, turn = w->round % 2;
    struct window next = next_window(w);
    for (uint32_t v = 0; v < n; v++)
        if (v != w->index)
            hand_over(&w->over[turn][v], &w->out[turn][v], next, w->round);
    for (uint32_t v = 0; v < n; v++) {
        if (v == w->index)
            continue;
        const struct handover *in = &s->workers[v].over[turn][w->index];
        wait_for(in, w->round);
        next.first = least(next.first, in->next.first);
        next.end = least(next.end, in->next.end);
        take_in(w, in);
    }
    w->round++;
    w->next = (struct window){CALENDAR_EMPTY, CALENDAR_EMPTY};
    for (uint32_t v = 0; v < n; v++)
        w->out[!turn][v].n_letters = w->out[!turn][v].n_timers = 0;
    next.end = least(next.end, (s->until_us + s->day_us - 1) / s->day_us);
    if (next.end <= next.first)
        next.end = next.first + 1;
    return next;
}

static void run_windows(struct worker *w)
{
    struct sim *s = w->sim;
    for (;;) {
        struct window window = meet(w);
        if (window.first == CALENDAR_EMPTY || window.first * s->day_us >= s->until_us)
            return;
        if (s->check != NULL && check_failed_text(s->check) != NULL)
            return;
        run_window(w, window);
    }
}

static void *run(void *arg)
{
    struct worker *w = arg;
    for (;;) {
        pthread_barrier_wait(&w->sim->gate);
        if (w->sim->stop)
            return NULL;
        run_windows(w);
        pthread_barrier_wait(&w->sim->gate);
    }
}

/* Whether threads run each other's nodes. Not where they keep more of their own than the times at
 * which messages land: breaks of links, their bandwidth, what a report notes. */
static bool can_share(const struct sim *s)
{
    const struct network *n = &s->config.network;
    return s->config.n_threads > 1 && s->lives == NULL && s->sample == NULL && !network_breaks(n) &&
           n->bytes_per_s == 0 && n->link_bytes_per_s == 0;
}

void sim_run_until(struct sim *s, uint64_t time_us)
{
    CHECK(s->rounds == NULL && time_us <= sim_end_us(s));
    s->until_us = time_us;
    s->shares = can_share(s);
    pthread_barrier_wait(&s->gate);
    run_windows(&s->workers[0]);
    pthread_barrier_wait(&s->gate);
    s->now_us = time_us > s->now_us ? time_us : s->now_us;
    if (s->check != NULL)
        check_all(s);
}

/* ---- start and end -------------------------------------------------------------------------- */

void engine_init(struct sim *s)
{
    uint32_t n = s->config.n_threads;
    CHECK(pthread_barrier_init(&s->gate, NULL, n) == 0);
    s->workers = MEM_NEW(struct worker, n);
    for (uint32_t i = 0; i < n; i++) {
        struct worker *w = &s->workers[i];
        w->sim = s;
        w->index = i;
        w->first = (uint32_t)((uint64_t)s->config.n_nodes * i / n);
        w->end = (uint32_t)((uint64_t)s->config.n_nodes * (i + 1) / n);
        w->next = (struct window){CALENDAR_EMPTY, CALENDAR_EMPTY};
        w->days_ahead = 1;
        w->round = 1;
        atomic_init(&w->ticket, (uint64_t)SIM_DAYS_MAX << TICKET_BITS); /* which is never run */
        w->shelf = (struct parcel_shelf){.parcels = &s->parcels, .first = PARCEL_NONE};
        calendar_init(&w->timers, sizeof(uint32_t));
        calendar_init(&w->letters, sizeof(struct letter));
        flights_init(&w->flights, &s->config.network);
        workspace_init(&w->workspace, &s->learner_config);
        w->workspace.is_shared = true;
        w->workspace.is_timed = s->config.profile;
        w->learner = (struct learner){.config = &s->learner_config};
        w->seen = MEM_NEW(uint64_t, (w->end - w->first + 63) / 64);
        w->again = MEM_NEW(uint64_t, (w->end - w->first + 63) / 64);
        for (uint32_t id = w->first; id < w->end; id++)
            peer_set_timer(w, id);
    }
    for (uint32_t i = 1; i < n; i++)
        CHECK(pthread_create(&s->workers[i].thread, NULL, run, &s->workers[i]) == 0);
}

void engine_close(struct sim *s)
{
    s->stop = true;
    pthread_barrier_wait(&s->gate);
    for (uint32_t i = 0; i < s->config.n_threads; i++) {
        struct worker *w = &s->workers[i];
        if (i > 0)
            CHECK(pthread_join(w->thread, NULL) == 0);
        calendar_close(&w->timers);
        calendar_close(&w->letters);
        flights_close(&w->flights);
        workspace_close(&w->workspace);
        free(w->timers_due.items);
        free(w->letters_due.items);
        free(w->visits);
        free(w->apart);
        free(w->starts);
        free(w->seen);
        free(w->again);
        for (uint32_t k = 0; k < 2 * SIM_THREADS_MAX; k++) {
            free(w->out[k / SIM_THREADS_MAX][k % SIM_THREADS_MAX].letters);
            free(w->out[k / SIM_THREADS_MAX][k % SIM_THREADS_MAX].timers);
        }
    }
    pthread_barrier_destroy(&s->gate);
    free(s->workers);
}
