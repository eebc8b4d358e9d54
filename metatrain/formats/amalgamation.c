/* SPDX-License-Identifier: Apache-2.0
 *
 * amalgamation.c - see amalgamation.h. The sources are concatenated as text, which is then printed token by token with
 * the changes. */
#include "formats/amalgamation.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- text ---------------------------------------------------------------------------------------- */

enum { MAX_SOURCES = 200 };

typedef struct assembly {
    FILE *out;
    char printed[MAX_SOURCES], visited[MAX_SOURCES]; /* by index of the source; visited: its includes, too */
} assembly;

static int find_source(const char *name) {
    for (int i = 0; i < MAX_SOURCES && mt_lopt_sources[i].name; i++)
        if (strcmp(mt_lopt_sources[i].name, name) == 0) return i;
    return -1;
}

static const char *end_of_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

/* Whether a line includes a file of src/; its name. */
static int included_name(const char *line, char name[64]) {
    return sscanf(line, "#include \"%63[^\"]\"", name) == 1;
}

/* Prints a source with its includes in their place, each once, without blocks for C++ alone. */
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
        visit_unit(a, "kernels/reference"); /* the vectorised kernels call it in rare cases */
        visit_unit(a, "kernels/vector");
        fputs("\nconst lopt__kernels *lopt__kernels_current(void) {\n    return &lopt__kernels_portable;\n}\n", a->out);
    } else if (strcmp(stem, "core/thread_team") != 0) {
        print_source(a, code);
    }
}

static char *assemble_text(const char *kind) {
    char *text = NULL, optimizer[64];
    const char *const units[] = {"core/tensor", "core/theta",    "core/settings",        optimizer,
                                 "core/state",  "core/registry", "core/create_optimizer"};
    size_t n;
    assembly a = {.out = open_memstream(&text, &n)};
    if (!a.out) return NULL;
    fprintf(a.out, "#define LOPT_EMBEDDED 1\n#define LOPT_VL 4\n#define KINDS(X) X(%s)\n", kind);
    snprintf(optimizer, sizeof optimizer, "optimizers/%s", kind);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) visit_unit(&a, units[i]);
    if (fclose(a.out) == 0) return text;
    free(text);
    return NULL;
}

/* ---- tokens -------------------------------------------------------------------------------------- */

typedef enum token_kind { SPACE, WORD, OTHER } token_kind; /* SPACE: comments, too */

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
            is_macro = t->text[t->length] == '(' && isupper((unsigned char)*t->text);
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
    static const char *const cpp[][2] = {
        {"restrict", "__restrict"}, {"_Alignas", "alignas"}, {"_Static_assert", "static_assert"}};
    for (size_t i = 0; i < sizeof cpp / sizeof cpp[0] && t->kind == WORD; i++)
        if (is_token(t, cpp[i][0])) {
            fputs(cpp[i][1], p->f);
            return;
        }
    if (t->kind == WORD && is_ours(&p->names, t)) fprintf(p->f, "%s_", p->prefix);
    fwrite(t->text, 1, (size_t)t->length, p->f);
}

/* Whether t begins a declaration at file scope of a function or an object that is not static: in the first column. */
static int begins_public(const token *t) {
    static const char *const others[] = {"static", "typedef", "struct", "enum", "_Static_assert"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (is_token(t, others[i])) return 0;
    return t->kind == WORD && !t->is_directive && t->text[-1] == '\n' && islower((unsigned char)*t->text);
}

/* Definitions become static. Declarations are left out: the units stand in the order of their use. */
static void print_tokens(const printer *p) {
    const token_list *list = &p->list;
    for (int i = 0; i < list->n; i++) {
        if (begins_public(&list->at[i])) {
            int end = i;
            while (!is_token(&list->at[end], ";") && !is_token(&list->at[end], "{")) end++;
            if (is_token(&list->at[end], ";")) {
                i = end;
                continue;
            }
            fputs("static ", p->f);
        }
        print_token(p, &list->at[i]);
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
