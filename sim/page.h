/* The parts of a report's page that are files (sim/page/), built into the program. */
#ifndef HUBBUB_SIM_PAGE_H
#define HUBBUB_SIM_PAGE_H

/* Text with "{{name}}" where report.c puts something. */
extern const char page_html[];

extern const char page_css[], page_js[];
extern const char page_uplot_css[], page_uplot_js[], page_uplot_licence[];

#endif
