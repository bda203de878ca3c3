#include "data/preprocess.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

const char *const clean_names[N_CLEANS + 1] = {"fail", "drop", "mean", "median", NULL};
const char *const normalize_names[N_NORMALIZES + 1] = {"auto",   "none",   "scale",
                                                       "minmax", "zscore", NULL};

int preprocess_parse_clean(const char *text, void *field, struct error *err)
{
    struct preprocess *p = field;
    char copy[64], *rest = copy, *word;
    p->clean = CLEAN_FAIL;
    p->drop_duplicates = p->drop_constant = false;
    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, ",")) != NULL) {
        size_t how = parse_choice(word, clean_names, N_CLEANS);
        if (how < N_CLEANS)
            p->clean = (enum clean)how;
        else if (strcmp(word, "duplicates") == 0)
            p->drop_duplicates = true;
        else if (strcmp(word, "constant") == 0)
            p->drop_constant = true;
        else
            return error_set(err, ERR_USAGE,
                             "'%.60s' (right: fail, drop, mean or median for missing values, and "
                             "after a comma duplicates, constant)",
                             text);
    }
    return 0;
}
