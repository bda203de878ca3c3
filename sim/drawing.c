#include "sim/drawing.h"

#include <inttypes.h>
#include <math.h>

enum { SIZE = 800, MARGIN = 40, LABELS_MAX = 64 /* nodes with their numbers */ };

struct point {
    double x, y;
};

static struct point place(const struct topology *t, uint32_t node)
{
    const double half = SIZE / 2.0, radius = half - MARGIN;
    uint32_t n = t->n, at = node;
    if (t->kind == TOPOLOGY_TORUS) {
        uint32_t rows = n / t->columns, longer = t->columns > rows ? t->columns : rows;
        double step = (SIZE - 2.0 * MARGIN) / longer;
        return (struct point){half + step * (node % t->columns - (t->columns - 1) / 2.0),
                              half + step * (node / t->columns - (rows - 1) / 2.0)};
    }
    if (t->kind == TOPOLOGY_STAR) {
        if (node == 0)
            return (struct point){half, half};
        n--;
        at--;
    }
    double angle = 2 * M_PI * at / n;
    return (struct point){half + radius * sin(angle), half - radius * cos(angle)};
}

static bool has_edge(const struct topology *t, uint32_t from, uint32_t to)
{
    for (uint32_t k = 0; k < topology_degree(t, from); k++)
        if (topology_neighbour(t, from, k) == to)
            return true;
    return false;
}

static bool is_directed(const struct topology *t)
{
    return t->kind == TOPOLOGY_EXPONENTIAL || t->kind == TOPOLOGY_ONE_PEER_EXPONENTIAL;
}

/* On a torus an edge around the back is drawn as two stubs that leave the picture. */
static void draw_edge(FILE *out, const struct topology *t, uint32_t from, uint32_t to, double r)
{
    struct point a = place(t, from), b = place(t, to);
    double dx = b.x - a.x, dy = b.y - a.y, length = hypot(dx, dy);
    double step = t->kind == TOPOLOGY_TORUS
                      ? (SIZE - 2.0 * MARGIN) / fmax(t->columns, t->n / t->columns)
                      : length;
    if (length > 1.5 * step) {
        double out_x = step / 2 * dx / length, out_y = step / 2 * dy / length;
        fprintf(out, "M%.1f %.1fl%.1f %.1fM%.1f %.1fl%.1f %.1f", a.x, a.y, -out_x, -out_y, b.x, b.y,
                out_x, out_y);
        return;
    }
    double gap = is_directed(t) ? r / length : 0; /* room for the arrow's head */
    fprintf(out, "M%.1f %.1fL%.1f %.1f", a.x, a.y, b.x - gap * dx, b.y - gap * dy);
}

static void draw_edges(FILE *out, const struct topology *t, double r)
{
    bool directed = is_directed(t);
    for (uint32_t node = 0; node < t->n; node++)
        for (uint32_t k = 0; k < topology_degree(t, node); k++) {
            uint32_t other = topology_neighbour(t, node, k);
            if (!directed && other < node && has_edge(t, other, node))
                continue;
            fprintf(out, "<path%s d=\"", directed ? " marker-end=\"url(#head)\"" : "");
            draw_edge(out, t, node, other, r);
            fprintf(out, "\"/>\n");
        }
}

void drawing_write(FILE *out, const struct topology *t)
{
    bool labels = t->n <= LABELS_MAX;
    double spacing = 2 * M_PI * (SIZE / 2.0 - MARGIN) / t->n;
    double r = fmax(1.5, fmin(labels ? 12 : 8, spacing / 3)), width = labels ? 1.2 : 0.5;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" font-family=\"sans-serif\" role=\"img\">\n"
            "<title>%" PRIu32 " nodes</title>\n"
            "<style>svg{background:#fff}path{stroke:#5b6b7c;fill:none}circle{fill:#1f6feb}"
            "text{fill:#fff}#head path{fill:#5b6b7c}"
            "@media(prefers-color-scheme:dark){svg{background:#0d1117}path{stroke:#8b98a8}"
            "#head path{fill:#8b98a8}circle{fill:#58a6ff}text{fill:#0d1117}}</style>\n"
            "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
            "markerWidth=\"5\" markerHeight=\"5\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/>"
            "</marker></defs>\n"
            "<g stroke-width=\"%.1f\" stroke-opacity=\"%.2f\">\n",
            SIZE, SIZE, SIZE, SIZE, t->n, width, labels ? 0.6 : 0.35);
    draw_edges(out, t, r);
    fprintf(out, "</g>\n<g font-size=\"%.1f\" text-anchor=\"middle\">\n", r);
    for (uint32_t node = 0; node < t->n; node++) {
        struct point p = place(t, node);
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", p.x, p.y, r);
        if (labels)
            fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" dy=\"0.35em\">%" PRIu32 "</text>", p.x, p.y,
                    node);
        fprintf(out, "\n");
    }
    fprintf(out, "</g>\n</svg>\n");
}
