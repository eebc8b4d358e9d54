/* SPDX-License-Identifier: Apache-2.0
 *
 * report_page.c - a report as one HTML page. It loads nothing: no scripts, no fonts, pictures are in the page, and its
 * policy forbids the browser to fetch any. Light or dark as the reader's system is; paper is light. */
#include <string.h>

#include "eval/report_document.h"

static const char page_style[] =
    ":root{--back:#fff;--ink:#1c2128;--faint:#5b6470;--line:#dfe3e8;--panel:#f6f7f9;--link:#0b62a8;color-scheme:light "
    "dark}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--back:#14181d;--ink:#e4e7eb;--faint:#9aa4af;--line:#2f363e;"
    "--panel:#1b2026;--link:#74b8f0}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,"
    "'Helvetica Neue',Arial,sans-serif;-webkit-text-size-adjust:100%}\n"
    "header,main{max-width:1240px;margin:0 auto;padding:0 16px}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:1.4rem 0 .6rem}\n"
    "h2{font-size:1.3rem;line-height:1.25;margin:2.6rem 0 .6rem;padding-top:.7rem;border-top:1px solid var(--line)}\n"
    "h3{font-size:1.02rem;margin:1.6rem 0 .4rem}\n"
    "h1,h2,h3,p,li,figcaption,.title{overflow-wrap:anywhere}\n"
    "p{margin:.5rem 0;max-width:75ch}\n"
    "nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.92rem}\n"
    "a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}\n"
    ".title{font-weight:600;margin:1.4rem 0 .35rem;max-width:none}\n"
    ".scroll{overflow-x:auto;max-width:100%}\n"
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.3rem .8rem;text-align:left;vertical-align:baseline}\n"
    "th{font-weight:600;color:var(--faint);border-bottom:1px solid var(--faint);white-space:nowrap}\n"
    "td{border-bottom:1px solid var(--line)}\n"
    "tbody tr:hover td{background:var(--panel)}\n"
    ".r{text-align:right;white-space:nowrap}\n"
    "th:first-child,td:first-child{padding-left:0;position:sticky;left:0;background:var(--back);min-width:7rem;"
    "max-width:24rem;overflow-wrap:anywhere}\n"
    ".e{color:var(--faint)}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,370px),1fr));gap:1.2rem 1.6rem;"
    "margin:1rem 0}\n"
    "figure{margin:0;max-width:540px;break-inside:avoid}\n"
    "figure svg{display:block;width:100%;height:auto;pointer-events:none}\n"
    "figure svg g{font-family:inherit}\n"
    "figcaption{font-size:.9rem;font-weight:600;margin-bottom:.2rem}\n"
    ".missing{border:1px dashed var(--line);padding:1rem;color:var(--faint)}\n"
    "pre{background:var(--panel);border:1px solid var(--line);border-radius:4px;padding:.6rem .8rem;font-size:.85rem;"
    "overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "@media (max-width:600px){body{font-size:15px}th,td{padding:.3rem "
    ".5rem}th:first-child,td:first-child{max-width:9rem}}\n"
    "@media print{body{font-size:10pt}nav{display:none}header,main{max-width:none;padding:0}.scroll{overflow:visible}"
    "table{font-size:8pt}th,td{padding:.15rem .35rem}th:first-child,td:first-child{position:static}"
    "tr{break-inside:avoid}h2,h3,.title,p{break-after:avoid}"
    ".figures{grid-template-columns:1fr 1fr}}\n";

static const mt_escape html_escapes[] = {{'&', "&amp;"},  {'<', "&lt;"},   {'>', "&gt;"},
                                         {'"', "&quot;"}, {'\'', "&#39;"}, {0, NULL}};

static void put_html(FILE *f, const char *text) {
    mt_put_escaped(f, text, html_escapes);
}

/* A number first, then its error or interval, which is fainter. */
static void put_number(FILE *f, const char *text) {
    const char *error = strstr(text, "±");
    if (error == NULL) error = strstr(text, " [");
    if (error == NULL) {
        put_html(f, text);
        return;
    }
    fprintf(f, "%.*s<span class=\"e\">", (int)(error - text), text);
    put_html(f, error);
    fputs("</span>", f);
}

static void put_html_row(const mt_block *table, size_t row, FILE *f) {
    fputs("<tr>", f);
    for (size_t i = 0; i < table->n_columns; i++) {
        const char *text = table->cells[row * table->n_columns + i];
        int right = table->columns[i].side == 'r';
        fputs(right ? "<td class=\"r\">" : "<td>", f);
        (right ? put_number : put_html)(f, text != NULL ? text : "");
        fputs("</td>", f);
    }
    fputs("</tr>\n", f);
}

static void put_html_table(const mt_block *table, FILE *f) {
    if (table->text[0] != '\0') {
        fputs("<p class=\"title\">", f);
        put_html(f, table->text);
        fputs("</p>\n", f);
    }
    fputs("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>", f);
    for (size_t i = 0; i < table->n_columns; i++) {
        fputs(table->columns[i].side == 'r' ? "<th scope=\"col\" class=\"r\">" : "<th scope=\"col\">", f);
        put_html(f, table->columns[i].heading);
        fputs("</th>", f);
    }
    fputs("</tr></thead>\n<tbody>\n", f);
    for (size_t row = 0; row < table->n_rows; row++) put_html_row(table, row, f);
    fputs("</tbody></table></div>\n", f);
}

static void put_html_figure(const mt_block *b, FILE *f) {
    fputs("<figure><figcaption>", f);
    put_html(f, b->text);
    if (b->figure.svg == NULL) {
        fputs("</figcaption><p class=\"missing\">not drawn</p></figure>\n", f);
        return;
    }
    fputs("</figcaption><div role=\"img\" aria-label=\"", f);
    put_html(f, b->text);
    fprintf(f, "\">\n%s</div></figure>\n", b->figure.svg);
}

static void put_html_block(const mt_block *b, size_t number, FILE *f) {
    switch (b->kind) {
    case MT_HEADING:
        fprintf(f, "<h%d id=\"b%zu\">", b->level, number);
        put_html(f, b->text);
        fprintf(f, "</h%d>\n", b->level);
        break;
    case MT_PARAGRAPH:
    case MT_CODE:
        fputs(b->kind == MT_CODE ? "<pre>" : "<p>", f);
        put_html(f, b->text);
        fputs(b->kind == MT_CODE ? "</pre>\n" : "</p>\n", f);
        break;
    case MT_TABLE:
        put_html_table(b, f);
        break;
    case MT_FIGURE:
        put_html_figure(b, f);
        break;
    }
}

static void put_links(const mt_document *d, FILE *f) {
    fputs("<nav>", f);
    for (size_t i = 0; i < d->n_blocks; i++) {
        if (d->blocks[i]->kind != MT_HEADING || d->blocks[i]->level > 2) continue;
        fprintf(f, "<a href=\"#b%zu\">", i);
        put_html(f, d->blocks[i]->text);
        fputs("</a>\n", f);
    }
    fputs("</nav>", f);
}

void mt_print_page(const mt_document *d, FILE *f) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
          "<title>",
          f);
    put_html(f, d->title);
    fprintf(f, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<h1>", page_style);
    put_html(f, d->title);
    fputs("</h1>\n", f);
    put_links(d, f);
    fputs("</header>\n<main>\n", f);
    int in_figures = 0;
    for (size_t i = 0; i < d->n_blocks; i++) {
        int is_figure = d->blocks[i]->kind == MT_FIGURE;
        if (is_figure != in_figures) fputs(is_figure ? "<div class=\"figures\">\n" : "</div>\n", f);
        in_figures = is_figure;
        put_html_block(d->blocks[i], i, f);
    }
    fputs(in_figures ? "</div>\n" : "", f);
    fputs("</main>\n</body>\n</html>\n", f);
}
