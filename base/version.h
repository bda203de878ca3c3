#ifndef HUBBUB_BASE_VERSION_H
#define HUBBUB_BASE_VERSION_H

#define VERSION "0.1.0"

#endif
