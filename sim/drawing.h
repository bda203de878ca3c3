/* A topology as a picture. */
#ifndef HUBBUB_SIM_DRAWING_H
#define HUBBUB_SIM_DRAWING_H

#include "sim/topology.h"

#include <stdio.h>

enum { DRAWING_NODES_MAX = 2000, DRAWING_EDGES_MAX = 200000 };

/* An SVG of its own: nodes on a circle, a torus on a grid, a star around its centre; arrows where
 * edges have a direction. At most DRAWING_NODES_MAX nodes. Light or dark as the viewer prefers. */
void drawing_write(FILE *out, const struct topology *t);

#endif
