#include "node/swarm.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/npz.h"

#include <uv.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192, ARGS_MAX = SWARM_FLAGS_MAX + 2 * SWARM_MAX + 32 };

/* Lines of a pipe, put together from its pieces. */
struct lines {
    uv_pipe_t pipe;
    struct member *member;
    char text[LINE_MAX_BYTES];
    size_t n;
    void (*line)(struct member *m, const char *text);
};

struct member {
    struct swarm *swarm;
    uint32_t index;
    uv_process_t process;
    uv_timer_t delay;
    struct lines out, log;
    char *args[ARGS_MAX];
    uint32_t n_args;
    char model[512];
    bool running;
    struct swarm_result *result;
};

struct swarm {
    const struct swarm_plan *plan;
    uv_loop_t loop;
    uv_signal_t sigint, sigterm;
    uint32_t n_ended;
    uint16_t ports[SWARM_MAX];
    char temporary[64];
    bool is_temporary, told_to_stop;
    struct member members[SWARM_MAX];
};

/* ---- arguments ------------------------------------------------------------------------------ */

static bool has_flag(const struct swarm_plan *plan, uint32_t i, const char *name)
{
    size_t n = strlen(name);
    for (uint32_t k = 0; k < plan->n_flags; k++)
        if (strncmp(plan->flags[k], name, n) == 0 &&
            (plan->flags[k][n] == '\0' || plan->flags[k][n] == '='))
            return true;
    return plan->extra[i] != NULL && strncmp(plan->extra[i], name, n) == 0;
}

static void add_arg(struct member *m, const char *text)
{
    char number[16];
    CHECK(m->n_args + 1 < ARGS_MAX);
    snprintf(number, sizeof number, "%u", m->index + 1);
    size_t size = strlen(text) + 1;
    for (const char *p = text; (p = strstr(p, "{i}")) != NULL; p += 3)
        size += strlen(number);
    char *copy = mem_alloc(size, 1), *end = copy;
    for (const char *p = text; *p != '\0';)
        if (strncmp(p, "{i}", 3) == 0) {
            end = stpcpy(end, number);
            p += 3;
        } else {
            *end++ = *p++;
        }
    *end = '\0';
    m->args[m->n_args++] = copy;
}

static void make_args(struct swarm *s, struct member *m)
{
    const struct swarm_plan *plan = s->plan;
    char text[300];
    add_arg(m, "hubbub");
    add_arg(m, "node");
    add_arg(m, "--die-with-parent");
    if (!has_flag(plan, m->index, "--json"))
        add_arg(m, "--json");
    snprintf(text, sizeof text, "--listen=127.0.0.1:%u", s->ports[m->index]);
    add_arg(m, text);
    for (uint32_t i = 0; i < plan->n; i++) {
        snprintf(text, sizeof text, "--peer=127.0.0.1:%u", s->ports[i]);
        if (i != m->index)
            add_arg(m, text);
    }
    snprintf(text, sizeof text, "--shard=%u/%u", m->index + 1, plan->n);
    if (!has_flag(plan, m->index, "--shard"))
        add_arg(m, text);
    snprintf(text, sizeof text, "--min-peers=%u", plan->n - 1);
    if (!has_flag(plan, m->index, "--min-peers"))
        add_arg(m, text);
    snprintf(text, sizeof text, "--out=%s/{i}.npz", s->temporary);
    if (!has_flag(plan, m->index, "--out"))
        add_arg(m, text);
    /* Their lines of progress take turns on one line of our terminal. */
    if (log_is_terminal() && !has_flag(plan, m->index, "--report-every"))
        add_arg(m, "--report-every=500ms");
    for (uint32_t k = 0; k < plan->n_flags; k++)
        add_arg(m, plan->flags[k]);
    if (plan->extra[m->index] != NULL)
        add_arg(m, plan->extra[m->index]);
    for (uint32_t k = 0; k < m->n_args; k++) {
        const char *name = "--out";
        size_t n = strlen(name);
        if (strcmp(m->args[k], name) == 0 && k + 1 < m->n_args)
            snprintf(m->model, sizeof m->model, "%s", m->args[k + 1]);
        else if (strncmp(m->args[k], name, n) == 0 && m->args[k][n] == '=')
            snprintf(m->model, sizeof m->model, "%s", m->args[k] + n + 1);
    }
}

/* Asks the system for free ports: all are bound at once, then let go. */
static int choose_ports(struct swarm *s, struct error *err)
{
    uv_tcp_t sockets[SWARM_MAX];
    struct sockaddr_in address;
    int rc = 0;
    uv_ip4_addr("127.0.0.1", 0, &address);
    for (uint32_t i = 0; i < s->plan->n; i++) {
        int length = sizeof address;
        uv_tcp_init(&s->loop, &sockets[i]);
        address.sin_port = 0;
        if (rc == 0)
            rc = uv_tcp_bind(&sockets[i], (const struct sockaddr *)&address, 0);
        if (rc == 0)
            rc = uv_tcp_getsockname(&sockets[i], (struct sockaddr *)&address, &length);
        s->ports[i] = ntohs(address.sin_port);
    }
    for (uint32_t i = 0; i < s->plan->n; i++)
        uv_close((uv_handle_t *)&sockets[i], NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    if (rc != 0)
        return error_set(err, ERR_FAILURE, "no free ports on 127.0.0.1: %s", uv_strerror(rc));
    return 0;
}

/* ---- what the processes say ----------------------------------------------------------------- */

static void on_log_line(struct member *m, const char *text)
{
    log_relay(m->index + 1, text);
}

static void on_out_line(struct member *m, const char *text)
{
    json_decref(m->result->json);
    m->result->json = json_loads(text, 0, NULL);
    if (m->result->json == NULL)
        on_log_line(m, text);
}

static void give_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct lines *l = handle->data;
    (void)suggested;
    *buf = uv_buf_init(l->text + l->n, (unsigned)(sizeof l->text - 1 - l->n));
}

static void on_read(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *buf)
{
    struct lines *l = stream->data;
    (void)buf;
    if (n_read > 0)
        l->n += (size_t)n_read;
    char *start = l->text, *end;
    while ((end = memchr(start, '\n', (size_t)(l->text + l->n - start))) != NULL) {
        *end = '\0';
        l->line(l->member, start);
        start = end + 1;
    }
    l->n -= (size_t)(start - l->text);
    memmove(l->text, start, l->n);
    bool full = l->n == sizeof l->text - 1;
    if (l->n > 0 && (full || n_read < 0)) {
        l->text[l->n] = '\0';
        l->line(l->member, l->text);
        l->n = 0;
    }
    if (n_read < 0)
        uv_close((uv_handle_t *)stream, NULL);
}

static void open_lines(struct lines *l, struct member *m,
                       void (*line)(struct member *, const char *))
{
    l->member = m;
    l->line = line;
    uv_pipe_init(&m->swarm->loop, &l->pipe, 0);
    l->pipe.data = l;
}

/* ---- processes ------------------------------------------------------------------------------ */

static void one_ended(struct swarm *s)
{
    if (++s->n_ended < s->plan->n)
        return;
    uv_close((uv_handle_t *)&s->sigint, NULL);
    uv_close((uv_handle_t *)&s->sigterm, NULL);
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
    struct member *m = process->data;
    m->running = false;
    m->result->exit_code = signal != 0 ? 128 + signal : (int)status;
    uv_close((uv_handle_t *)process, NULL);
    one_ended(m->swarm);
}

static void start(struct member *m)
{
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&m->out.pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&m->log.pipe}};
    /* Detached: a Ctrl-C of the terminal reaches them through us alone, once. */
    uv_process_options_t options = {.file = "/proc/self/exe",
                                    .args = m->args,
                                    .exit_cb = on_exit_of,
                                    .stdio = stdio,
                                    .stdio_count = 3,
                                    .flags = UV_PROCESS_DETACHED};
    open_lines(&m->out, m, on_out_line);
    open_lines(&m->log, m, on_log_line);
    m->process.data = m;
    int rc = uv_spawn(&m->swarm->loop, &m->process, &options);
    if (rc != 0) {
        fprintf(stderr, "[%u] cannot be started: %s\n", m->index + 1, uv_strerror(rc));
        uv_close((uv_handle_t *)&m->process, NULL);
        uv_close((uv_handle_t *)&m->out.pipe, NULL);
        uv_close((uv_handle_t *)&m->log.pipe, NULL);
        one_ended(m->swarm);
        return;
    }
    m->running = true;
    uv_read_start((uv_stream_t *)&m->out.pipe, give_memory, on_read);
    uv_read_start((uv_stream_t *)&m->log.pipe, give_memory, on_read);
}

static void on_delay(uv_timer_t *timer)
{
    struct member *m = timer->data;
    uv_close((uv_handle_t *)timer, NULL);
    if (m->swarm->told_to_stop)
        one_ended(m->swarm);
    else
        start(m);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct swarm *s = handle->data;
    s->told_to_stop = true;
    for (uint32_t i = 0; i < s->plan->n; i++)
        if (s->members[i].running)
            uv_process_kill(&s->members[i].process, signum);
}

/* ---- consensus ------------------------------------------------------------------------------ */

/* Fills in ||theta_i - mean|| / ||mean||, for those whose model can be read. */
static void measure_consensus(struct swarm *s)
{
    struct model model;
    struct error err;
    float *theta[SWARM_MAX] = {0}, *mean = NULL;
    uint32_t n_read = 0;
    model.dim = 0;
    for (uint32_t i = 0; i < s->plan->n; i++) {
        struct member *m = &s->members[i];
        char *text;
        if (m->result->json == NULL || npz_member(m->model, "hubbub.json", 65536, &text, &err) != 0)
            continue;
        json_t *meta = json_loads(text, 0, NULL);
        const char *spec = json_string_value(json_object_get(meta, "model"));
        free(text);
        if (spec != NULL && model.dim == 0 &&
            model_parse(&model, spec,
                        data_flat((uint32_t)json_integer_value(json_object_get(meta, "n_in")),
                                  (uint32_t)json_integer_value(json_object_get(meta, "n_out"))),
                        &err) != 0)
            model.dim = 0;
        json_decref(meta);
        if (model.dim == 0)
            continue;
        if (mean == NULL)
            mean = MEM_NEW(float, model.dim);
        theta[i] = MEM_NEW(float, model.dim);
        if (npz_read(m->model, &model, theta[i], &err) == 0) {
            vec_add(mean, theta[i], model.dim);
            n_read++;
        } else {
            fprintf(stderr, "[%u] %s\n", i + 1, err.text);
            free(theta[i]);
            theta[i] = NULL;
        }
    }
    for (uint64_t d = 0; n_read > 0 && d < model.dim; d++)
        mean[d] /= (float)n_read;
    for (uint32_t i = 0; i < s->plan->n; i++) {
        if (theta[i] != NULL)
            s->members[i].result->consensus =
                sqrt(vec_distance_sq(theta[i], mean, model.dim) / vec_norm_sq(mean, model.dim));
        free(theta[i]);
    }
    free(mean);
}

/* ---- the run -------------------------------------------------------------------------------- */

static int open_swarm(struct swarm *s, struct error *err)
{
    CHECK(uv_loop_init(&s->loop) == 0);
    int rc = choose_ports(s, err);
    if (rc != 0)
        return rc;
    snprintf(s->temporary, sizeof s->temporary, "/tmp/hubbub-XXXXXX");
    s->is_temporary = !has_flag(s->plan, 0, "--out");
    if (s->is_temporary && mkdtemp(s->temporary) == NULL)
        return error_set(err, ERR_FAILURE, "%s: cannot make a folder: %m", s->temporary);
    return 0;
}

static void run_members(struct swarm *s)
{
    uv_signal_init(&s->loop, &s->sigint);
    uv_signal_init(&s->loop, &s->sigterm);
    s->sigint.data = s->sigterm.data = s;
    uv_signal_start(&s->sigint, on_signal, SIGINT);
    uv_signal_start(&s->sigterm, on_signal, SIGTERM);
    for (uint32_t i = 0; i < s->plan->n; i++) {
        struct member *m = &s->members[i];
        make_args(s, m);
        if (s->plan->delay_us[i] == 0) {
            start(m);
            continue;
        }
        uv_timer_init(&s->loop, &m->delay);
        m->delay.data = m;
        uv_timer_start(&m->delay, on_delay, s->plan->delay_us[i] / 1000, 0);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
}

int swarm_run(const struct swarm_plan *plan, struct swarm_result *results, struct error *err)
{
    CHECK(plan->n >= 1 && plan->n <= SWARM_MAX);
    struct swarm *s = MEM_NEW(struct swarm, 1);
    s->plan = plan;
    for (uint32_t i = 0; i < plan->n; i++) {
        results[i] = (struct swarm_result){.exit_code = -1, .consensus = -1};
        s->members[i].swarm = s;
        s->members[i].index = i;
        s->members[i].result = &results[i];
    }
    int rc = open_swarm(s, err);
    if (rc == 0) {
        run_members(s);
        measure_consensus(s);
    }
    for (uint32_t i = 0; i < plan->n; i++) {
        struct member *m = &s->members[i];
        if (s->is_temporary)
            unlink(m->model);
        for (uint32_t k = 0; k < m->n_args; k++)
            free(m->args[k]);
    }
    if (s->is_temporary)
        rmdir(s->temporary);
    uv_loop_close(&s->loop);
    free(s);
    return rc;
}

void swarm_results_close(struct swarm_result *results, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        json_decref(results[i].json);
}

int swarm_verdict(const struct swarm_result *results, uint32_t n, struct error *err)
{
    for (uint32_t i = 0; i < n; i++)
        if (results[i].exit_code != 0) {
            int code = results[i].exit_code;
            bool own = (code > 0 && code <= 6) || code == 130;
            return error_set(err, own ? -code : ERR_FAILURE, "peer %u ended with exit code %d",
                             i + 1, code);
        }
    return 0;
}

double swarm_number(const struct swarm_result *result, const char *key)
{
    return json_number_value(json_object_get(result->json, key));
}

void swarm_classes(const struct swarm_result *result, char *text, size_t size)
{
    size_t i, n = 0;
    json_t *value;
    text[0] = '\0';
    json_array_foreach(json_object_get(result->json, "classes"), i, value)
    {
        if (n < size)
            n += (size_t)snprintf(text + n, size - n, "%s%lld", i > 0 ? " " : "",
                                  (long long)json_integer_value(value));
    }
}
