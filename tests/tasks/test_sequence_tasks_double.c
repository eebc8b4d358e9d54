/* SPDX-License-Identifier: Apache-2.0
 *
 * test_sequence_tasks_double.c - language models, vision transformers and mixers: gradients of every published name
 * and of structures drawn from the families, made small; sizes, first losses, padding. */
#include "base/declare.h"
#include "data/dataset.h"
#include "data/text.h"
#include "model/model.h"
#include "scratch.h"
#include "task_check.h"

TestSuite(sequence_tasks, .init = make_scratch, .fini = remove_scratch, .timeout = 60);

/* lm1b.txt and wikipedia.txt in the scratch folder; every fourth text is one word. */
static void write_texts(void) {
    static char text[1 << 16];
    char path[SCRATCH_PATH];
    size_t n = 0;
    for (int i = 0; i < 120; i++) {
        for (int k = 0; k < (i % 4 ? 20 : 1); k++)
            n += (size_t)sprintf(text + n, "%c%c ", 'a' + i * k % 23, 'e' + (i + k) % 7);
        n += (size_t)sprintf(text + n, "\n\n");
    }
    write_bytes(path_of("lm1b.txt", path), text, n);
    write_bytes(path_of("wikipedia.txt", path), text, n);
}

static task_spec named(const char *name) {
    task_spec spec = task_spec_default();
    snprintf(spec.task, sizeof spec.task, "%s", name);
    snprintf(spec.data_path, sizeof spec.data_path, "%s", folder);
    return spec;
}

static void shrink(task_spec *spec) {
    int is_text = !strcmp(spec->task, "rnn_lm") || !strcmp(spec->task, "transformer_lm");
    if (!is_text) snprintf(spec->dataset, sizeof spec->dataset, "fashion_mnist");
    spec->batch_size = 5 + spec->batch_size % 3;
    spec->image_size = 8;
    spec->dropout = fmin(spec->dropout, 0.4);
    spec->sequence.vocab = 25 + spec->sequence.vocab % 5;
    spec->sequence.length = 3 + spec->sequence.length % 4;
    spec->sequence.embed = 6 + spec->sequence.embed % 3;
    spec->sequence.width = 6 + spec->sequence.width % 3;
    spec->sequence.layers = 1 + (spec->sequence.layers > 1);
    spec->sequence.heads = 1 + spec->sequence.heads % 2;
    spec->sequence.head_size = 6;
    spec->sequence.mlp = 5 + spec->sequence.mlp % 4;
    spec->sequence.token_mlp = 5;
    spec->sequence.patch = 4;
    spec->sequence.attention_dropout = fmin(spec->sequence.attention_dropout, 0.4);
}

Test(sequence_tasks, published) {
    write_texts();
    const task_dataset *held = task_dataset_open("fashion_mnist", "", 8, NULL);
    check_names("RNNLM_", 14, named, shrink);
    check_names("TransformerLM_", 16, named, shrink);
    check_names("VIT_", 6, named, shrink);
    check_names("MLPMixer_", 9, named, shrink);
    task_dataset_close(held);
}

Test(sequence_tasks, families) {
    write_texts();
    const task_dataset *held = task_dataset_open("fashion_mnist", "", 8, NULL);
    check_family("rnn_lm_family", named, shrink);
    check_family("transformer_lm_family", named, shrink);
    check_family("vit_family", named, shrink);
    task_dataset_close(held);
}

/* ---- sizes and first losses --------------------------------------------------------------------- */

static task *create(task_spec *spec) {
    lopt_error err;
    cr_assert(task_spec_resolve(spec, &err), "%s", err.text);
    task *t = task_create(spec, &err);
    cr_assert(t, "%s", err.text);
    return t;
}

static void check_size(const char *name, size_t expected) {
    task_spec spec = named(name);
    task *t = create(&spec);
    cr_assert(t->n_params == expected, "%s: %zu parameters, expected %zu", t->name, t->n_params, expected);
    task_destroy(t);
}

Test(sequence_tasks, sizes) {
    write_texts();
    const size_t v = 32100;
    check_size("RNNLM_lm1bbytes_Patch32_LSTM128_Embed64", 149059);
    check_size("RNNLM_lm1bbytes_Patch32_GRU128_Embed64", 259 * 64 + 64 * 384 + 128 * 384 + 384 + 128 + 128 * 259 + 259);
    check_size("RNNLM_lm1b32k_Patch32_IRNN256_Embed128", v * 128 + 128 * 256 + 256 * 256 + 2 * 256 + 256 + 256 * v + v);
    check_size("RNNLM_wikipediaen32k_Patch32_LSTM256_Embed128", 12753252);
    check_size("TransformerLM_LM1B_MultiRuntime_0", 1332820);
}

/* A dense layer that starts at 0: every class is as likely. */
static void check_first_loss(const char *name) {
    task_spec spec = named(name);
    lopt_error err;
    cr_assert(task_spec_resolve(&spec, &err), "%s", err.text);
    shrink(&spec);
    task *t = create(&spec);
    real *params = aligned(t->n_params * sizeof *params);
    void *work = aligned(t->work_bytes);
    lopt_rng_stream r;
    lopt_rng_open_stream(&r, (lopt_rng_address){6, LOPT_RNG_TEST, 0, 0, 0});
    task_initial_params(t, NULL, &r, params);
    task_draw_batch(t, NULL, TASK_TRAIN, &r, work);
    real loss = task_compute_loss(t, NULL, work, params, NULL);
    cr_assert(fabs(loss - log(10)) < 1e-12, "%s: first loss %g", t->name, loss);
    cr_assert(fabs(task_normalise_loss(t, loss) - 10 * log(10) / log(20)) < 1e-6);
    task_destroy(t);
    free(params), free(work);
}

Test(sequence_tasks, first_losses) {
    check_first_loss("VIT_Cifar100_wideshallow");
    check_first_loss("MLPMixer_Cifar100_tiny16");
}

/* ---- an LSTM by hand ----------------------------------------------------------------------------- */

enum { B = 6, S = 5, E = 3, H = 4, V = 30 };

/* -log softmax(h W + b)[label] */
static double token_loss(const double h[H], const real *w, const real *b, int label) {
    double sum = 0, of_label = 0;
    for (int v = 0; v < V; v++) {
        double z = b[v];
        for (int j = 0; j < H; j++) z += h[j] * w[j * V + v];
        sum += exp(z);
        if (v == label) of_label = z;
    }
    return log(sum) - of_label;
}

static void lstm_step(const real *p, const real *x, double h[H], double c[H]) {
    double z[4 * H];
    for (int k = 0; k < 4 * H; k++) {
        z[k] = p[(E + H) * 4 * H + k];
        for (int j = 0; j < E; j++) z[k] += x[j] * p[j * 4 * H + k];
        for (int j = 0; j < H; j++) z[k] += h[j] * p[(E + j) * 4 * H + k];
    }
    for (int j = 0; j < H; j++) {
        double i = 1 / (1 + exp(-z[j])), f = 1 / (1 + exp(-z[2 * H + j] - 1)), o = 1 / (1 + exp(-z[3 * H + j]));
        c[j] = f * c[j] + i * tanh(z[H + j]);
        h[j] = o * tanh(c[j]);
    }
}

/* Tokens of one draw, as the task draws them; loss over those that are no padding. */
static double plain_loss(const real *params, const int32_t *tokens, int *n_padded) {
    const real *cell = params + V * E, *h0 = cell + (E + H) * 4 * H + 4 * H, *w = h0 + 2 * H;
    double loss = 0;
    int n = 0;
    for (int i = 0; i < B; i++) {
        double h[H], c[H];
        for (int j = 0; j < H; j++) h[j] = h0[j], c[j] = h0[H + j];
        for (int t = 0; t < S; t++) {
            int32_t id = tokens[t * B + i];
            lstm_step(cell, params + id * E, h, c);
            if (id == 0) continue;
            loss += token_loss(h, w, w + H * V, tokens[(t + 1) * B + i]);
            n++;
        }
    }
    *n_padded += S * B - n;
    return loss / n;
}

Test(sequence_tasks, rnn_lm_is_a_plain_loop) {
    write_texts();
    task_spec spec = named("rnn_lm");
    snprintf(spec.dataset, sizeof spec.dataset, "lm1b");
    spec.batch_size = B;
    spec.sequence.length = S, spec.sequence.embed = E, spec.sequence.width = H, spec.sequence.vocab = V;
    probe p = start(&spec);
    lopt_error err;
    const task_text *text = task_text_open("lm1b", folder, 259, &err);
    int n_padded = 0;
    for (int k = 0; k < 20; k++) {
        int32_t tokens[(S + 1) * B];
        lopt_rng_stream r;
        lopt_rng_open_stream(&r, (lopt_rng_address){5, LOPT_RNG_TEST, (uint64_t)k, 0, 0});
        task_text_draw(text, TASK_INNER_VALID, &r, B, S + 1, V, tokens);
        lopt_rng_open_stream(&r, (lopt_rng_address){5, LOPT_RNG_TEST, (uint64_t)k, 0, 0});
        task_draw_batch(p.t, p.tau, TASK_INNER_VALID, &r, p.work);
        double found = task_compute_loss(p.t, p.tau, p.work, p.params, NULL),
               plain = plain_loss(p.params, tokens, &n_padded);
        cr_assert(fabs(found - plain) < 1e-10, "batch %d: loss %.12g, plain %.12g", k, found, plain);
    }
    cr_assert(n_padded > 3, "%d tokens of padding", n_padded);
    task_text_close(text);
    stop(&p);
}

Test(sequence_tasks, what_cannot_be_is_said) {
    write_texts();
    static const struct {
        const char *task, *dataset;
        int tokens, length;
        const char *part;
    } wrong[] = {
        {"rnn_lm", "nowhere", 259, 8, "unknown text \"nowhere\""},
        {"transformer_lm", "lm1b", 260, 8, "a vocabulary of 260"},
        {"rnn_lm", "lm1b", 259, 60000, "for the sequence length"},
        {"rnn_lm", "lm1b", 259, 0, "sequence.length is 0"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        task_spec spec = named(wrong[i].task);
        lopt_error err = {LOPT_OK, ""};
        snprintf(spec.dataset, sizeof spec.dataset, "%s", wrong[i].dataset);
        spec.sequence.tokens = wrong[i].tokens, spec.sequence.length = wrong[i].length;
        cr_assert(!task_create(&spec, &err) && strstr(err.text, wrong[i].part), "found \"%s\", expected \"%s\"",
                  err.text, wrong[i].part);
    }
}
