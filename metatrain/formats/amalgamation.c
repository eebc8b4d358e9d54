/* SPDX-License-Identifier: Apache-2.0
 *
 * amalgamation.c - see amalgamation.h. First the sources are put together as text, then it is cut into tokens, and
 * printed token by token with what has to change. */
#include "formats/amalgamation.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- text ---------------------------------------------------------------------------------------- */

enum { MAX_SOURCES = 200 };

typedef struct assembly {
    FILE *out;
    char printed[MAX_SOURCES], visited[MAX_SOURCES]; /* by number of the source; visited: its includes, too */
} assembly;

static int find_source(const char *name) {
    for (int i = 0; mt_lopt_sources[i].name && i < MAX_SOURCES; i++)
        if (strcmp(mt_lopt_sources[i].name, name) == 0) return i;
    return -1;
}

static const char *end_of_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

/* Whether a line includes a file of ours; its name. */
static int included_name(const char *line, char name[64]) {
    return sscanf(line, "#include \"%63[^\"]\"", name) == 1;
}

/* A source with what it includes, each once and in its place, without what is for C++ compilers alone. */
static void print_source(assembly *a, int source) {
    if (source < 0 || a->printed[source]) return;
    a->printed[source] = 1;
    char name[64];
    for (const char *line = mt_lopt_sources[source].text; *line; line = end_of_line(line)) {
        if (strncmp(line, "#ifdef __cplusplus", 18) == 0) {
            while (strncmp(line, "#endif", 6) != 0) line = end_of_line(line);
        } else if (included_name(line, name)) {
            print_source(a, find_source(name));
        } else {
            fwrite(line, 1, (size_t)(end_of_line(line) - line), a->out);
        }
    }
}

static void visit_unit(assembly *a, const char *stem);

static void visit_includes(assembly *a, int source) {
    char name[64];
    for (const char *line = source < 0 ? "" : mt_lopt_sources[source].text; *line; line = end_of_line(line)) {
        size_t n = included_name(line, name) ? strlen(name) : 0;
        if (n < 2 || strcmp(name + n - 2, ".h") != 0) continue;
        name[n - 2] = '\0';
        visit_unit(a, name);
    }
}

/* A header and its .c file, after those that they include. Threads and the choice of kernels are left out. */
static void visit_unit(assembly *a, const char *stem) {
    char name[80];
    snprintf(name, sizeof name, "%s.h", stem);
    int header = find_source(name);
    snprintf(name, sizeof name, "%s.c", stem);
    int code = find_source(name), unit = header < 0 ? code : header;
    if (unit < 0 || a->visited[unit]) return;
    a->visited[unit] = 1;
    visit_includes(a, header);
    visit_includes(a, code);
    print_source(a, header);
    if (strcmp(stem, "kernels/kernels") == 0) {
        visit_unit(a, "kernels/reference"); /* what the vectorised kernels leave to it */
        visit_unit(a, "kernels/vector");
    } else if (strcmp(stem, "core/thread_team") != 0) {
        print_source(a, code);
    }
}

/* The kind stands before the registry, which points to it. */
static char *assemble_text(const char *kind) {
    static const char *const core[] = {"core/tensor",   "core/theta", "core/settings",
                                       "core/registry", "core/state", "core/create_optimizer"};
    char *text = NULL, unit[64];
    size_t n;
    assembly a = {.out = open_memstream(&text, &n)};
    if (!a.out) return NULL;
    fprintf(a.out, "#define LOPT_EMBEDDED 1\n#define LOPT_VL 4\n#define KINDS(X) X(%s)\n", kind);
    snprintf(unit, sizeof unit, "optimizers/%s", kind);
    visit_unit(&a, unit);
    for (size_t i = 0; i < sizeof core / sizeof core[0]; i++) visit_unit(&a, core[i]);
    if (a.visited[find_source("kernels/kernels.h")])
        fputs("\nconst lopt__kernels *lopt__kernels_current(void) {\n    return &lopt__kernels_portable;\n}\n", a.out);
    if (fclose(a.out) == 0) return text;
    free(text);
    return NULL;
}

/* ---- tokens -------------------------------------------------------------------------------------- */

typedef enum token_kind { SPACE, WORD, OTHER } token_kind; /* SPACE: comments and directives' names, too */

typedef struct token {
    const char *text;
    int length;
    token_kind kind;
    int is_directive;   /* stands in a line that begins with # */
    int braces, parens; /* that are open before it */
} token;

typedef struct token_list {
    token *at;
    int n;
} token_list;

static int comment_length(const char *text) {
    const char *end = strncmp(text, "/*", 2) == 0 ? strstr(text + 2, "*/") : NULL;
    return end ? (int)(end + 2 - text) : 0;
}

static int literal_length(const char *text) {
    int n = 1;
    while (text[n] && text[n] != text[0]) n += text[n] == '\\' ? 2 : 1;
    return n + 1;
}

static int is_word_character(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

static token read_token(const char *text) {
    token t = {.text = text, .length = comment_length(text), .kind = OTHER};
    if (t.length || isspace((unsigned char)*text)) {
        t.kind = SPACE;
        if (!t.length) t.length = 1;
    } else if (*text == '"' || *text == '\'') {
        t.length = literal_length(text);
    } else if (is_word_character(*text)) {
        t.kind = isdigit((unsigned char)*text) ? OTHER : WORD;
        while (is_word_character(text[t.length])) t.length++;
    } else {
        t.length = 1;
    }
    return t;
}

static int is_token(const token *t, const char *text) {
    return (int)strlen(text) == t->length && strncmp(t->text, text, (size_t)t->length) == 0;
}

/* Braces of directives do not count. */
static int read_tokens(const char *text, token_list *list) {
    int is_directive = 0, braces = 0, parens = 0;
    list->n = 0;
    list->at = malloc((strlen(text) + 1) * sizeof *list->at);
    for (; list->at && *text; text += list->at[list->n++].length) {
        token t = read_token(text);
        if (is_token(&t, "#")) is_directive = 1;
        if (*text == '\n' && text[-1] != '\\') is_directive = 0;
        t.is_directive = is_directive;
        if (!is_directive && (*text == '}' || *text == ')')) *(*text == '}' ? &braces : &parens) -= 1;
        t.braces = braces;
        t.parens = parens;
        if (!is_directive && t.kind == OTHER && (*text == '{' || *text == '('))
            *(*text == '{' ? &braces : &parens) += 1;
        list->at[list->n] = t;
    }
    return list->at != NULL;
}

/* The next token that is no space, or the last; in a directive and outside of it as t is. */
static int next_token(const token_list *list, int i) {
    int is_directive = list->at[i].is_directive;
    for (i++; i < list->n - 1; i++)
        if (list->at[i].kind != SPACE && list->at[i].is_directive == is_directive) break;
    return i < list->n ? i : list->n - 1;
}

/* ---- names at file scope ------------------------------------------------------------------------- */

typedef struct name_list {
    const token **at;
    int n;
} name_list;

static int compare_tokens(const void *a_, const void *b_) {
    const token *a = *(const token *const *)a_, *b = *(const token *const *)b_;
    int order = strncmp(a->text, b->text, (size_t)(a->length < b->length ? a->length : b->length));
    return order ? order : a->length - b->length;
}

/* Words of C at file scope; types of its library end in _t. */
static int is_known_word(const token *t) {
    static const char *const known[] = {"char",     "const",  "double",        "enum",           "extern",
                                        "float",    "inline", "int",           "long",           "short",
                                        "signed",   "static", "struct",        "typedef",        "union",
                                        "unsigned", "void",   "__attribute__", "_Static_assert", "_Alignas"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is_token(t, known[i])) return 1;
    return strncmp(t->text + t->length - 2, "_t", 2) == 0;
}

/* Words outside of braces and parentheses, macros and enumerators; what a macro is called with at file scope. */
static int collect_names(const token_list *list, name_list *names) {
    int is_enum = 0, is_macro = 0;
    names->n = 0;
    names->at = malloc((size_t)list->n * sizeof *names->at);
    if (!names->at) return 0;
    for (int i = 0, last[2] = {0, 0}; i < list->n; i++) {
        const token *t = &list->at[i], *before = &list->at[last[t->is_directive]];
        if (t->kind == SPACE) continue;
        last[t->is_directive] = i;
        if (t->kind != WORD) continue;
        if (t->is_directive) {
            if (is_token(before, "define")) names->at[names->n++] = t;
            continue;
        }
        if (t->braces == 0 && t->parens == 0) {
            is_enum = (is_enum && !is_token(before, "}") && !is_token(before, ";")) || is_token(t, "enum");
            is_macro = is_token(&list->at[next_token(list, i)], "(") && isupper((unsigned char)*t->text);
            if (!is_known_word(t)) names->at[names->n++] = t;
        } else if ((is_enum && t->braces == 1 && (is_token(before, "{") || is_token(before, ","))) ||
                   (is_macro && t->braces == 0 && t->parens == 1)) {
            names->at[names->n++] = t;
        }
    }
    qsort(names->at, (size_t)names->n, sizeof *names->at, compare_tokens);
    return 1;
}

static int is_ours(const name_list *names, const token *t) {
    if (strncmp(t->text, "lopt_", 5) == 0 || strncmp(t->text, "LOPT_", 5) == 0) return 1;
    return bsearch(&t, names->at, (size_t)names->n, sizeof *names->at, compare_tokens) != NULL;
}

/* ---- printing ------------------------------------------------------------------------------------ */

typedef struct printer {
    FILE *f;
    const char *prefix;
    token_list list;
    name_list names;
} printer;

static void print_token(const printer *p, const token *t) {
    if (t->kind == WORD && is_token(t, "restrict")) {
        fputs("__restrict", p->f);
    } else if (t->kind == WORD && is_token(t, "_Alignas")) {
        fputs("alignas", p->f);
    } else if (t->kind == WORD && is_token(t, "_Static_assert")) {
        fputs("static_assert", p->f);
    } else {
        if (t->kind == WORD && is_ours(&p->names, t)) fprintf(p->f, "%s_", p->prefix);
        fwrite(t->text, 1, (size_t)t->length, p->f);
    }
}

/* Whether a declaration at file scope that begins with token i is to be made static. */
static int needs_static(const token_list *list, int i) {
    static const char *const without[] = {"static", "typedef", "_Static_assert"};
    const token *t = &list->at[i];
    for (size_t k = 0; k < sizeof without / sizeof without[0]; k++)
        if (is_token(t, without[k])) return 0;
    if (t->kind != WORD || isupper((unsigned char)*t->text)) return 0; /* a macro has it */
    if (!is_token(t, "struct") && !is_token(t, "enum")) return 1;
    int tag = next_token(list, i);
    return !is_token(&list->at[tag], "{") && !is_token(&list->at[next_token(list, tag)], "{") &&
           !is_token(&list->at[next_token(list, tag)], ";");
}

/* Whether token i ends a declaration at file scope. */
static int ends_declaration(const token_list *list, int i, int first) {
    const token *t = &list->at[i];
    if (t->braces || t->parens || t->is_directive) return 0;
    if (is_token(t, ";")) return 1;
    if (is_token(t, ")")) /* a macro's call is a declaration */
        return isupper((unsigned char)*list->at[first].text) && is_token(&list->at[next_token(list, first)], "(");
    return 0;
}

/* The function that a declaration at file scope is about, or -1; whether it is its body's. */
static int find_function(const token_list *list, int i, int *has_body) {
    int name = -1;
    for (int next; !is_token(&list->at[i], ";") && !is_token(&list->at[i], "{") && i < list->n - 1; i = next) {
        next = next_token(list, i);
        if (is_token(&list->at[i], "=")) return -1;
        if (name < 0 && list->at[i].parens == 0 && is_token(&list->at[next], "(")) name = i;
    }
    *has_body = is_token(&list->at[i], "{");
    return name;
}

/* Declarations of what is defined before it is used, or of a function that is not defined at all. */
static int is_left_out(const token_list *list, int i) {
    int has_body, name = find_function(list, i, &has_body);
    if (is_token(&list->at[i], "extern")) return 1;
    if (name < 0 || has_body || !needs_static(list, i)) return 0;
    for (int k = i, body; k < list->n; k++) {
        const token *t = &list->at[k], *a = &list->at[name];
        if (k != name && !t->braces && !t->parens && compare_tokens(&t, &a) == 0 &&
            find_function(list, k, &body) == k && body)
            return 0;
    }
    return 1;
}

/* "[const] T *name = " at the beginning of a statement: returns where the = is, or -1; star: where the * is. */
static int find_pointer_value(const token_list *list, int i, int *star) {
    if (is_token(&list->at[i], "const")) i = next_token(list, i);
    *star = next_token(list, i);
    int name = next_token(list, *star), equals = next_token(list, name);
    return list->at[i].kind == WORD && !is_token(&list->at[i], "return") && list->at[name].kind == WORD &&
                   is_token(&list->at[*star], "*") && is_token(&list->at[equals], "=")
               ? equals
               : -1;
}

/* Behind the = of a pointer: a cast to the type that stands at the beginning of its statement. */
static void print_cast(const printer *p, int begin, int star) {
    fputs(" (", p->f);
    for (int i = begin; i <= star; i++) print_token(p, &p->list.at[i]);
    fputs(")(", p->f);
}

/* Whether the cast behind `equals` ends before token t. */
static int ends_value(const token *equals, const token *t) {
    return (is_token(t, ";") || is_token(t, ",")) && t->braces == equals->braces && t->parens == equals->parens;
}

static int begins_statement(const token *before) {
    return is_token(before, ";") || is_token(before, "{") || is_token(before, "}");
}

/* Prints all tokens. first: of the declaration at file scope, -1 between two. */
static void print_tokens(const printer *p) {
    const token_list *list = &p->list;
    int first = -1, last = 0, is_body = 0, begin = 0, star = 0, equals = -1;
    for (int i = 0; i < list->n; i++) {
        const token *t = &list->at[i], *before = &list->at[last];
        if (t->kind == SPACE || t->is_directive) {
            print_token(p, t);
            continue;
        }
        if (first < 0 && is_left_out(list, i)) {
            while (!is_token(&list->at[i], ";")) i++;
            continue;
        }
        if (first < 0) {
            first = i;
            is_body = 0;
            if (needs_static(list, i)) fputs("static ", p->f);
        }
        if (t->braces == 0 && is_token(t, "{")) is_body = is_token(before, ")");
        if (t->braces > 0 && t->parens == 0 && begins_statement(before))
            equals = find_pointer_value(list, begin = i, &star);
        if (equals >= 0 && i > equals && ends_value(&list->at[equals], t)) {
            fputc(')', p->f);
            equals = -1;
        }
        print_token(p, t);
        if (i == equals) print_cast(p, begin, star);
        last = i;
        if (ends_declaration(list, i, first) || (is_body && t->braces == 0 && is_token(t, "}"))) first = -1;
    }
}

int mt_amalgamation_print(FILE *f, const char *kind, const char *prefix, lopt_error *err) {
    char *text = assemble_text(kind);
    printer p = {.f = f, .prefix = prefix};
    int ok = text && read_tokens(text, &p.list) && collect_names(&p.list, &p.names);
    if (ok) print_tokens(&p);
    free(p.names.at);
    free(p.list.at);
    free(text);
    return ok ? 1 : mt_error(err, LOPT_ENOMEM, "out of memory");
}
