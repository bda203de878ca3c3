/* CHECK: a bug of ours stops the program, in every build.
 *
 * Never for what comes from outside (files, peers, flags): those get an ERR_* code (base/error.h).
 */
#ifndef HUBBUB_BASE_CHECK_H
#define HUBBUB_BASE_CHECK_H

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            check_failed(__FILE__, __LINE__, #cond);                                               \
    } while (0)

/* Of a function that few runs call, or hardly any: what leads to its calls is laid out of the way
 * of the rest. */
#define RARELY __attribute__((cold))

/* Prints "file:line: CHECK(expression) failed" on stderr and aborts. Any thread. */
RARELY _Noreturn void check_failed(const char *file, int line, const char *expression);

#endif
