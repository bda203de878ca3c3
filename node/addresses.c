#include "node/addresses.h"

#include "base/check.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int address_parse(const char *text, void *field, struct error *err)
{
    struct host_port at;
    (void)field;
    if (*text == '\0' || parse_host_port(text, &at))
        return 0;
    return error_set(err, ERR_USAGE,
                     "'%.100s' is not HOST:PORT, such as 10.0.0.2:7700 or [::1]:7700", text);
}

/* By address or by the one name that never means another machine: "127.example.org" may. */
static bool is_loopback(const char *host)
{
    struct in_addr v4;
    bool is_v4 = inet_pton(AF_INET, host, &v4) == 1;
    return (is_v4 && ntohl(v4.s_addr) >> 24 == 127) || strcmp(host, "::1") == 0 ||
           strcasecmp(host, "localhost") == 0;
}

static int check_address(const char *what, const char *text, bool insecure, struct host_port *at,
                         struct error *err)
{
    if (!parse_host_port(text, at))
        return error_set(err, ERR_USAGE,
                         "%s: '%.100s' is not HOST:PORT, such as 10.0.0.2:7700 or [::1]:7700", what,
                         text);
    if (!insecure && !is_loopback(at->host))
        return error_set(err, ERR_USAGE,
                         "%s: %s is not this machine, and links are plain TCP: whoever can reach "
                         "the port can read and change the model. On a network you trust say "
                         "--insecure; otherwise use a tunnel (ssh -L, WireGuard)",
                         what, text);
    return 0;
}

static bool is_same(const struct host_port *a, const struct host_port *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

/* `once`: the entries are counted, so none may stand twice. */
static int add_address(struct node_config *c, const char *what, const char *text, bool insecure,
                       bool once, struct error *err)
{
    if (c->n_addresses == NODE_ADDRESSES_MAX)
        return error_set(err, ERR_USAGE, "%s: more than %d peers", what, NODE_ADDRESSES_MAX);
    struct host_port *at = &c->addresses[c->n_addresses];
    int rc = check_address(what, text, insecure, at, err);
    if (rc == 0 && at->port == 0)
        return error_set(err, ERR_USAGE, "%s: '%s' has no port to dial", what, text);
    for (uint32_t i = 0; rc == 0 && i < c->n_addresses; i++)
        if (is_same(&c->addresses[i], at))
            return once ? error_set(err, ERR_USAGE,
                                    "%s: %.100s stands twice; for --shard auto each peer stands "
                                    "once in the list",
                                    what, text)
                        : 0;
    c->n_addresses += rc == 0;
    return rc;
}

static int read_peers_file(struct node_config *c, const char *path, bool insecure, bool once,
                           struct error *err)
{
    char *line = NULL, what[600];
    size_t size = 0;
    int rc = 0;
    int fd = file_open(path, NULL, err);
    if (fd < 0)
        return error_prefix(err, "--peers-file");
    FILE *f = fdopen(fd, "r");
    CHECK(f != NULL);
    for (unsigned number = 1; rc == 0 && getline(&line, &size, f) >= 0; number++) {
        line[strcspn(line, "#\r\n")] = '\0';
        char *start = line;
        while (isspace((unsigned char)*start))
            start++;
        for (char *end = start + strlen(start); end > start && isspace((unsigned char)end[-1]);)
            *--end = '\0';
        snprintf(what, sizeof what, "%s line %u", path, number);
        if (*start != '\0' && (rc = add_address(c, what, start, insecure, once, err)) != 0)
            rc = err->code = ERR_DATA;
    }
    if (rc == 0 && ferror(f))
        rc = error_set(err, ERR_DATA, "--peers-file %s: %s", path, strerror(errno));
    free(line);
    fclose(f);
    return rc;
}

static int set_own(const struct address_flags *f, struct node_config *c, struct error *err)
{
    struct host_port at;
    c->advertise = f->advertise;
    if (f->listen[0] != '\0') {
        c->listens = true;
        int rc = check_address("--listen", f->listen, f->insecure, &c->listen, err);
        if (rc != 0)
            return rc;
    }
    if (f->advertise[0] == '\0')
        return 0;
    /* Only told to others: an address beyond this machine asks for no --insecure. */
    int rc = check_address("--advertise", f->advertise, true, &at, err);
    if (rc == 0 && at.port == 0)
        return error_set(err, ERR_USAGE, "--advertise: '%s' has no port to dial", f->advertise);
    if (rc == 0 && strlen(f->advertise) >= WIRE_TEXT_MAX)
        return error_set(err, ERR_USAGE, "--advertise: longer than %d bytes", WIRE_TEXT_MAX - 1);
    if (rc == 0 && !c->listens)
        return error_set(err, ERR_USAGE,
                         "--advertise: needs --listen: nobody reaches me otherwise");
    return rc;
}

/* Whether this machine has the address. */
static bool is_of_this_machine(const char *host)
{
    struct ifaddrs *all, *i;
    char text[INET6_ADDRSTRLEN];
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (i = all; i != NULL && !found; i = i->ifa_next) {
        int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;
        const void *bytes = family == AF_INET
                                ? (void *)&((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr
                                : (void *)&((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr;
        found = (family == AF_INET || family == AF_INET6) &&
                inet_ntop(family, bytes, text, sizeof text) != NULL && strcmp(text, host) == 0;
    }
    freeifaddrs(all);
    return found;
}

/* Who listens on every address of this machine is found by any of them. */
static bool is_me(const struct host_port *me, const struct host_port *entry)
{
    bool everywhere = strcmp(me->host, "0.0.0.0") == 0 || strcmp(me->host, "::") == 0;
    return is_same(me, entry) ||
           (everywhere && me->port == entry->port && is_of_this_machine(entry->host));
}

/* My place among c->addresses, all of one list, is my shard; and where others reach me. */
static int set_shard(const struct address_flags *f, struct node_config *c, struct error *err)
{
    const char *flag = f->advertise[0] != '\0' ? "--advertise" : "--listen";
    const char *own = f->advertise[0] != '\0' ? f->advertise : f->listen;
    const char *list = f->peers_file[0] != '\0' ? f->peers_file : "the list of --peer";
    struct host_port me;
    if (*own == '\0')
        return error_set(err, ERR_USAGE,
                         "--shard auto: needs --listen or --advertise to find me in %s", list);
    if (c->n_addresses == 0)
        return error_set(err, ERR_USAGE,
                         "--shard auto: needs a list of all peers, me among them: --peers-file or "
                         "--peer");
    (void)parse_host_port(own, &me);
    const struct host_port *mine = NULL;
    for (uint32_t i = 0; i < c->n_addresses; i++) {
        const struct host_port *entry = &c->addresses[i];
        if (!is_me(&me, entry))
            continue;
        if (mine != NULL)
            return error_set(err, ERR_USAGE,
                             "--shard auto: %s:%u and %s:%u of %s are both this machine; say with "
                             "--advertise which of them I am",
                             mine->host, mine->port, entry->host, entry->port, list);
        mine = entry;
        c->shard = i;
        c->n_shards = c->n_addresses;
    }
    if (mine != NULL) {
        snprintf(c->own_entry, sizeof c->own_entry, strchr(mine->host, ':') ? "[%s]:%u" : "%s:%u",
                 mine->host, mine->port);
        c->advertise = c->own_entry;
        return 0;
    }
    return error_set(
        err, ERR_USAGE,
        "--shard auto: %s %s is none of the %u entries of %s; put it there, or say with "
        "--advertise which of them I am",
        flag, own, c->n_addresses, list);
}

static int add_peers(const struct address_flags *f, struct node_config *c, bool once,
                     struct error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < f->peers->n; i++)
        rc = add_address(c, "--peer", f->peers->values[i], f->insecure, once, err);
    return rc;
}

int addresses_set(const struct address_flags *f, struct node_config *c, struct error *err)
{
    int rc = set_own(f, c, err);
    c->peers_file = f->peers_file;
    c->insecure = f->insecure;
    if (rc == 0 && f->peers_file[0] != '\0')
        rc = read_peers_file(c, f->peers_file, f->insecure, f->decide_shard, err);
    else if (rc == 0)
        rc = add_peers(f, c, f->decide_shard, err);
    if (rc == 0 && f->decide_shard)
        rc = set_shard(f, c, err);
    /* Peers beside a file are dialled too, and do not count for the shard. */
    if (rc == 0 && f->peers_file[0] != '\0')
        rc = add_peers(f, c, false, err);
    if (rc == 0 && c->gossip != GOSSIP_CHOICE_OFF && !c->listens && c->n_addresses == 0)
        return error_set(err, ERR_USAGE,
                         "nobody to train with: give --listen and --peer (or --peers-file), or "
                         "--gossip off to train alone");
    return rc;
}

int addresses_read_again(struct node_config *c, struct error *err)
{
    return c->peers_file[0] == '\0' ? 0
                                    : read_peers_file(c, c->peers_file, c->insecure, false, err);
}
