/* How far the training is: one line for people, and the events of --metrics on the way. */
#include "base/clock.h"
#include "base/log.h"
#include "node/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DRAW_US = 250000 }; /* between two drawings on a terminal */

struct line {
    char text[512];
    size_t n;
};

PRINTF(2, 3) static void add(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line->text + line->n, sizeof line->text - line->n, format, args);
    va_end(args);
    size_t room = sizeof line->text - 1 - line->n;
    line->n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room;
}

/* The part of --until that is done, 0 to 1: of the goal that will be met first. 0 when only an
 * accuracy is asked for. */
static double part_done(const struct node *n, double epochs, uint64_t steps, double seconds)
{
    const struct until *u = &n->config.until;
    double parts[] = {u->epochs > 0 ? epochs / u->epochs : 0,
                      u->steps > 0 ? (double)steps / (double)u->steps : 0,
                      u->duration_us > 0 ? seconds * 1e6 / (double)u->duration_us : 0};
    double most = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        most = parts[i] > most ? parts[i] : most;
    return most < 1 ? most : 1;
}

/* Share done and time left, at the speed since training began here. */
static void add_left(struct line *line, const struct node *n, double seconds)
{
    const struct trainer_report *r = &n->report;
    double per_step = r->step > 0 ? r->epochs / (double)r->step : 0;
    double before = part_done(n, per_step * (double)n->adopt_step, n->adopt_step, 0);
    double now = part_done(n, r->epochs, r->step, seconds);
    if (now <= 0 || n->state != PEER_TRAINING)
        return;
    add(line, "%3.0f %% ", 100 * now);
    if (now > before && seconds > 1) {
        unsigned long left = (unsigned long)((1 - now) / (now - before) * seconds + 0.5);
        if (left >= 3600)
            add(line, "ETA %lu:%02lu:%02lu ", left / 3600, left / 60 % 60, left % 60);
        else
            add(line, "ETA %lu:%02lu ", left / 60, left % 60);
    }
}

static void add_score(struct line *line, const struct node *n)
{
    struct scores_sum swarm = scores_swarm(n);
    char score[RESULT_SCORE_MAX];
    result_score(n, score);
    add(line, ", %s", score);
    if (scores_are_shared(n) && swarm.n > 0)
        add(line, " own, %.2f %% swarm", 100 * (double)swarm.n_correct / (double)swarm.n);
}

static void draw(struct node *n, uint64_t now_us)
{
    const struct trainer_report *r = &n->report;
    struct line line = {.n = 0};
    if (!n->trains) {
        log_progress("waiting for peers: %u linked, --min-peers %u", n->peers.n_linked,
                     n->config.min_peers);
        return;
    }
    double s = (double)(now_us - n->trained_us) / 1e6;
    double lately = (double)(now_us - n->shown.us) / 1e6;
    add_left(&line, n, s);
    add(&line, "%s: step %llu, epoch %.2f, loss %.4f", peer_state_names[n->state],
        (unsigned long long)r->step, r->epochs, r->loss);
    if (r->n_evaluations > 0)
        add_score(&line, n);
    add(&line, ", %.0f steps/s", s > 0 ? (double)r->steps_done / s : 0);
    if (n->config.gossip != GOSSIP_CHOICE_OFF && lately > 0)
        add(&line,
            ", %u peer%s, staleness %.1f, in %.1f MB/s, out %.1f MB/s, gossip every %u steps "
            "(%.1f %% of the time)",
            n->peers.n_linked, n->peers.n_linked == 1 ? "" : "s", n->staleness.lately,
            (double)(n->bytes_in - n->shown.bytes_in) / 1e6 / lately,
            (double)(n->bytes_out - n->shown.bytes_out) / 1e6 / lately, n->config.every.steps,
            100 * n->budget.share);
    log_progress("%s", line.text);
}

void progress_tick(struct node *n, uint64_t now_us)
{
    if (n->state >= PEER_ENDED)
        return;
    bool report = now_us - n->reported_us >= n->config.report_us;
    bool redraw = log_is_terminal() && now_us - n->shown.us >= DRAW_US;
    if (!report && !redraw)
        return;
    exchange_count(n);
    draw(n, now_us);
    n->shown.us = now_us;
    n->shown.bytes_in = n->bytes_in;
    n->shown.bytes_out = n->bytes_out;
    if (report) {
        n->reported_us = now_us;
        result_report(n);
    }
}
