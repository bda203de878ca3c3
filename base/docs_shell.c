/* Completions for bash, zsh and fish. */
#include "base/docs.h"

#include "base/opts_inner.h"

#include <string.h>

/* Text between single quotes of a shell; `escaped` get a backslash too. */
static void quoted(const char *text, const char *escaped, FILE *out)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (strchr(escaped, *p) != NULL)
            fputc('\\', out);
        if (*p == '\'')
            fputs("'\\''", out);
        else
            fputc(*p, out);
    }
}

static void choices(const struct opt *opt, FILE *out)
{
    for (size_t i = 0; opt->choices[i] != NULL; i++)
        fprintf(out, "%s%s", i > 0 ? " " : "", opt->choices[i]);
}

static bool takes(const struct opt *opt, const char *what)
{
    return opt->arg != NULL && strcmp(opt->arg, what) == 0;
}

/* "bench train" -> "bench"; false when the path is one word, or its first was the last one's. */
static bool new_parent(const struct docs *d, size_t i, char *parent, size_t size)
{
    const char *path = docs_path(d, d->commands[i]);
    const char *last = i > 0 ? docs_path(d, d->commands[i - 1]) : "";
    size_t n = strcspn(path, " ");
    snprintf(parent, size, "%.*s", (int)n, path);
    return path[n] == ' ' && strncmp(path, last, n + 1) != 0;
}

static const char *last_word(const char *path)
{
    const char *space = strchr(path, ' ');
    return space != NULL ? space + 1 : path;
}

/* The subcommands of a command; of the program where it is "". */
static void words_of(const struct docs *d, const char *command, FILE *out)
{
    char parent[32];
    size_t n = strlen(command);
    for (size_t i = 0; i < d->n; i++) {
        const char *path = docs_path(d, d->commands[i]);
        bool is_new = new_parent(d, i, parent, sizeof parent);
        if (n == 0 && (is_new || strchr(path, ' ') == NULL))
            fprintf(out, "%s ", parent);
        else if (n > 0 && strncmp(path, command, n) == 0 && path[n] == ' ')
            fprintf(out, "%s ", path + n + 1);
    }
}

/* ---- bash ----------------------------------------------------------------------------------- */

static void bash_value(const char *path, const struct opt *opt, FILE *out)
{
    if (opt->type == OPT_SWITCH)
        return;
    fprintf(out, "    '%s/--%s'", path, opt->name);
    if (opt->alias != NULL)
        fprintf(out, " | '%s/--%s'", path, opt->alias);
    if (opt->letter != '\0')
        fprintf(out, " | '%s/-%c'", path, opt->letter);
    fputs(")\n        ", out);
    if (opt->choices != NULL) {
        fputs("words='", out);
        choices(opt, out);
        fputs("' ;;\n", out);
    } else if (takes(opt, "FILE") || takes(opt, "DIR")) {
        fprintf(out, "kind=-%c ;;\n", takes(opt, "DIR") ? 'd' : 'f');
    } else {
        fputs("return ;;\n", out);
    }
}

/* The way from a command to the next: a word of the line. */
static void bash_steps(const struct docs *d, FILE *out)
{
    char parent[32];
    for (size_t i = 0; i < d->n; i++) {
        const struct opts *o = d->commands[i];
        const char *path = docs_path(d, o);
        if (new_parent(d, i, parent, sizeof parent))
            fprintf(out, "        '/%s') command='%s' ;;\n", parent, parent);
        fprintf(out, "        '%s/%s') command='%s' ;;\n", strchr(path, ' ') ? parent : "",
                last_word(path), path);
        if (o->after_dashes != NULL)
            fprintf(out, "        '%s/--') command='%s' ;;\n", path, docs_path(d, o->after_dashes));
    }
}

void docs_bash(const struct docs *d, FILE *out)
{
    char parent[32];
    fprintf(out, "# bash completion for %s, from '%s docs bash'\n_%s()\n{\n", d->program,
            d->program, d->program);
    fputs("    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command='' words='' kind='' i\n"
          "    COMPREPLY=()\n"
          "    # bash breaks a word at '='.\n"
          "    if [[ $cur == = ]]; then\n"
          "        cur=''\n"
          "    elif [[ $prev == = ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case \"$command/${COMP_WORDS[i]}\" in\n",
          out);
    bash_steps(d, out);
    fputs("        esac\n    done\n    case \"$command\" in\n    '') words='", out);
    words_of(d, "", out);
    fputs("--help --version' ;;\n", out);
    for (size_t i = 0; i < d->n; i++) {
        const struct opts *o = d->commands[i];
        if (new_parent(d, i, parent, sizeof parent)) {
            fprintf(out, "    '%s') words='", parent);
            words_of(d, parent, out);
            fputs("--help' ;;\n", out);
        }
        fprintf(out, "    '%s') words='%s", docs_path(d, o), o->operands ? o->operands : "");
        for (size_t k = 0; k < opts_count(o); k++)
            fprintf(out, "%s--%s", k > 0 || o->operands ? " " : "", opts_at(o, k)->name);
        fputs("' ;;\n", out);
    }
    fputs("    esac\n    case \"$command/$prev\" in\n", out);
    for (size_t i = 0; i < d->n; i++)
        for (size_t k = 0; k < opts_count(d->commands[i]); k++)
            bash_value(docs_path(d, d->commands[i]), opts_at(d->commands[i], k), out);
    fprintf(out,
            "    esac\n"
            "    if [[ -n $kind ]]; then\n"
            "        compopt -o filenames 2>/dev/null\n"
            "        mapfile -t COMPREPLY < <(compgen \"$kind\" -- \"$cur\")\n"
            "    else\n"
            "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
            "    fi\n"
            "}\n"
            "complete -F _%s %s\n",
            d->program, d->program);
}

/* ---- zsh ------------------------------------------------------------------------------------ */

static void zsh_option(const struct opt *opt, const char *name, FILE *out)
{
    fprintf(out, "        '%s--%s%s[", opt->type == OPT_LIST ? "*" : "", name, opt->arg ? "=" : "");
    quoted(opt->help, "[]:\\", out);
    fputs("]", out);
    if (opt->arg != NULL) {
        fputs(":", out);
        quoted(opt->arg, ":\\", out);
        fputs(":", out);
    }
    if (opt->choices != NULL) {
        fputs("(", out);
        choices(opt, out);
        fputs(")", out);
    } else if (takes(opt, "FILE") || takes(opt, "DIR")) {
        fputs(takes(opt, "DIR") ? "_files -/" : "_files", out);
    }
    fputs("' \\\n", out);
}

static void zsh_command(const struct docs *d, const struct opts *o, FILE *out)
{
    fprintf(out, "    '%s')\n", docs_path(d, o));
    if (o->after_dashes != NULL)
        fprintf(out,
                "        local dashes=${words[(i)--]}\n"
                "        if (( dashes < CURRENT )); then\n"
                "            words=(%s \"${(@)words[dashes+1,-1]}\")\n"
                "            (( CURRENT -= dashes - 1 ))\n"
                "            _%s_of '%s'\n"
                "            return\n"
                "        fi\n",
                last_word(docs_path(d, o->after_dashes)), d->program,
                docs_path(d, o->after_dashes));
    fputs("        _arguments \\\n", out);
    for (size_t i = 0; i < opts_count(o); i++) {
        const struct opt *opt = opts_at(o, i);
        zsh_option(opt, opt->name, out);
        if (opt->alias != NULL)
            zsh_option(opt, opt->alias, out);
    }
    fprintf(out, "        %s%s%s\n        ;;\n", o->operands ? "'1:what:(" : "",
            o->operands ? o->operands : "&& return 0", o->operands ? ")'" : "");
}

void docs_zsh(const struct docs *d, FILE *out)
{
    char parent[32];
    fprintf(out,
            "#compdef %s\n# zsh completion, from '%s docs zsh'\n\n_%s_of()\n{\n    case $1 in\n",
            d->program, d->program, d->program);
    for (size_t i = 0; i < d->n; i++)
        zsh_command(d, d->commands[i], out);
    fprintf(
        out,
        "    esac\n}\n\n_%s()\n{\n    local command=$words[2]\n    if (( CURRENT == 2 )); then\n"
        "        compadd -- ",
        d->program);
    words_of(d, "", out);
    fputs("--help --version\n        return\n    fi\n    shift words\n    (( CURRENT-- ))\n", out);
    for (size_t i = 0; i < d->n; i++)
        if (new_parent(d, i, parent, sizeof parent)) {
            fprintf(out,
                    "    if [[ $command == %s ]]; then\n        command+=\" $words[2]\"\n"
                    "        if (( CURRENT == 2 )); then\n            compadd -- ",
                    parent);
            words_of(d, parent, out);
            fputs("\n            return\n        fi\n        shift words\n        (( CURRENT-- ))\n"
                  "    fi\n",
                  out);
        }
    fprintf(out, "    _%s_of \"$command\"\n}\n\n_%s \"$@\"\n", d->program, d->program);
}

/* ---- fish ----------------------------------------------------------------------------------- */

static void fish_option(const char *program, const char *path, const struct opt *opt, FILE *out)
{
    char parent[32];
    size_t n = strcspn(path, " ");
    snprintf(parent, sizeof parent, "%.*s", (int)n, path);
    fprintf(out, "complete -c %s -n '__fish_seen_subcommand_from %s", program, parent);
    if (path[n] == ' ')
        fprintf(out, "; and __fish_seen_subcommand_from %s", path + n + 1);
    fprintf(out, "' -l %s", opt->name);
    if (opt->alias != NULL)
        fprintf(out, " -l %s", opt->alias);
    if (opt->letter != '\0')
        fprintf(out, " -s %c", opt->letter);
    if (takes(opt, "FILE") || takes(opt, "DIR"))
        fputs(" -r -F", out);
    else if (opt->arg != NULL)
        fputs(" -x", out);
    if (opt->choices != NULL) {
        fputs(" -a '", out);
        choices(opt, out);
        fputs("'", out);
    }
    fputs(" -d '", out);
    for (const char *p = opt->help; *p != '\0'; p++)
        fprintf(out, "%s%c", *p == '\'' || *p == '\\' ? "\\" : "", *p);
    fputs("'\n", out);
}

void docs_fish(const struct docs *d, FILE *out)
{
    char parent[32];
    fprintf(out, "# fish completion for %s, from '%s docs fish'\ncomplete -c %s -f\n", d->program,
            d->program, d->program);
    fprintf(out, "complete -c %s -n __fish_use_subcommand -a '", d->program);
    words_of(d, "", out);
    fputs("'\n", out);
    for (size_t i = 0; i < d->n; i++) {
        const struct opts *o = d->commands[i];
        if (new_parent(d, i, parent, sizeof parent)) {
            fprintf(out, "complete -c %s -n '__fish_seen_subcommand_from %s' -a '", d->program,
                    parent);
            words_of(d, parent, out);
            fputs("'\n", out);
        }
        if (o->operands != NULL)
            fprintf(out, "complete -c %s -n '__fish_seen_subcommand_from %s' -a '%s'\n", d->program,
                    docs_path(d, o), o->operands);
        for (size_t k = 0; k < opts_count(o); k++)
            fish_option(d->program, docs_path(d, o), opts_at(o, k), out);
    }
}
