/* SPDX-License-Identifier: Apache-2.0
 *
 * text_table.h - an aligned table of text.
 *
 *     const mt_column columns[] = {{"optimizer", 'l'}, {"loss", 'r'}};
 *     mt_text_table *t = mt_text_table_create(columns, 2);
 *     mt_text_table_row(t, (const char *[]){"adam", "0.592"});     one text a column, copied
 *     mt_text_table_print(t, stdout);
 *     mt_text_table_free(t);
 *
 * Columns are as wide as their widest text and two blanks apart; texts are UTF-8. Rows print in the order
 * given. Running out of memory loses rows, not the program. */
#ifndef MT_TABLE_H
#define MT_TABLE_H

#include <stddef.h>
#include <stdio.h>

typedef struct mt_column {
    const char *heading; /* borrowed */
    char side;           /* 'l'eft or 'r'ight */
} mt_column;

typedef struct mt_text_table mt_text_table;

mt_text_table *mt_text_table_create(const mt_column *columns, size_t n_columns); /* NULL: out of memory */
void mt_text_table_row(mt_text_table *t, const char *const *cells);
void mt_text_table_print(const mt_text_table *t, FILE *f);
void mt_text_table_free(mt_text_table *t);

#endif
