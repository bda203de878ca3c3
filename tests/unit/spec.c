/* Texts of models: what they mean, and how they are refused. */
#include "model/model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(spec, .timeout = 60);

static const struct data_shape images = {784, {1, 28, 28}, 0, 10};
static const struct data_shape photos = {3072, {3, 32, 32}, 0, 10};
static const struct data_shape tokens = {.n_features = 16, .n_tokens = 64, .n_classes = 64};
static const struct data_shape reals = {.n_features = 13};
static const struct data_shape pairs = {.n_features = 13, .n_classes = 2};

static void check_same(const struct model *m, const struct model *again)
{
    cr_assert_str_eq(again->spec, m->spec);
    cr_assert(again->dim == m->dim && again->loss == m->loss && again->n_in == m->n_in &&
              again->n_out == m->n_out && again->n_nodes == m->n_nodes &&
              again->n_layers == m->n_layers && again->n_tensors == m->n_tensors);
    for (uint32_t i = 0; i < m->n_nodes; i++) {
        const struct layer *x = &m->nodes[i], *y = &again->nodes[i];
        cr_assert(x->ops == y->ops && x->n_in == y->n_in && x->n_out == y->n_out &&
                      x->columns == y->columns && x->offset == y->offset &&
                      x->n_params == y->n_params && x->size == y->size &&
                      x->kernel[0] == y->kernel[0] && x->kernel[1] == y->kernel[1] &&
                      x->stride == y->stride && x->padding == y->padding && x->rate == y->rate &&
                      x->n_tokens == y->n_tokens && x->node == y->node &&
                      x->n_inner == y->n_inner && x->n_body == y->n_body,
                  "%s is not its own canonical text: node %u", m->spec, i);
    }
    for (uint32_t i = 0; i < m->n_tensors; i++)
        cr_assert(strcmp(m->tensors[i].name, again->tensors[i].name) == 0 &&
                      m->tensors[i].offset == again->tensors[i].offset,
                  "%s: tensor %u", m->spec, i);
}

Test(spec, canonical_texts)
{
    static const struct {
        const char *spec, *canonical;
        const struct data_shape *data;
        enum loss loss;
        uint32_t n_layers, n_tensors;
        uint64_t dim;
    } cases[] = {
        {"softmax", "softmax:784-10", &images, LOSS_SOFTMAX, 1, 2, 7850},
        {"svm", "svm:784-10", &images, LOSS_HINGE, 1, 2, 7850},
        {"mlp:784-10,loss:hinge", "svm:784-10", &images, LOSS_HINGE, 1, 2, 7850},
        {"svm", "svm:13-1", &pairs, LOSS_HINGE, 1, 2, 14},
        {"logistic", "logistic:13-1", &pairs, LOSS_LOGISTIC, 1, 2, 14},
        {"linear", "linear:13-1", &reals, LOSS_MSE, 1, 2, 14},
        {"mlp:13-1", "linear:13-1", &reals, LOSS_MSE, 1, 2, 14},
        {"mlp:13-5-1", "mlp:13-5-1", &reals, LOSS_MSE, 3, 4, 76},
        {"mlp:13-5-1,loss:logistic", "mlp:13-5-1,loss:logistic", &pairs, LOSS_LOGISTIC, 3, 4, 76},
        {"lenet5", "lenet5", &images, LOSS_SOFTMAX, 12, 10, 61706},
        {"lenet5,loss:softmax", "lenet5", &photos, LOSS_SOFTMAX, 12, 10, 62006},
        {"resnet20", "resnet20", &photos, LOSS_SOFTMAX, 24, 82, 0},
        {" conv : 032x3x3 , relu,\tpool:2x2s2p0,flatten,dense ",
         "conv:32x3x3,relu,pool:2,flatten,dense:10", &images, LOSS_SOFTMAX, 5, 4, 54410},
        {"maxpool:3s2p1,avgpool,flatten,dropout:0.50,dense:10",
         "pool:3s2p1,avgpool,flatten,dropout:0.5,dense:10", &images, LOSS_SOFTMAX, 5, 2, 20},
        {"conv:4x3x5s2p1,groupnorm:2,res(gelu,conv:4x1x1|tanh),flatten,layernorm,dense,loss:hinge",
         "conv:4x3x5s2p1,groupnorm:2,res(gelu,conv:4x1x1|tanh),flatten,layernorm,dense:10,loss:"
         "hinge",
         &images, LOSS_HINGE, 6, 10, 0},
        {"embed:32,flatten,dense:256,relu,dense", "embed:32,flatten,dense:256,relu,dense:64",
         &tokens, LOSS_SOFTMAX, 5, 5, 149824},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model m, again;
        struct error err;
        int rc = model_parse(&m, cases[i].spec, *cases[i].data, &err);
        cr_assert_eq(rc, 0, "%s: %s", cases[i].spec, err.text);
        cr_assert_str_eq(m.spec, cases[i].canonical);
        cr_assert_eq(m.loss, cases[i].loss, "%s", m.spec);
        cr_assert_eq(m.n_layers, cases[i].n_layers, "%s: %u", m.spec, m.n_layers);
        cr_assert_eq(m.n_tensors, cases[i].n_tensors, "%s: %u", m.spec, m.n_tensors);
        cr_assert(cases[i].dim == 0 || m.dim == cases[i].dim, "%s: %d", m.spec, (int)m.dim);
        cr_assert_eq(model_parse(&again, m.spec, *cases[i].data, &err), 0, "%s", err.text);
        check_same(&m, &again);
        cr_assert_eq(model_fingerprint(&m), model_fingerprint(&again));
    }
}

Test(spec, names_are_those_of_a_state_dict)
{
    static const char *const expected[] = {"0.weight",
                                           "0.bias",
                                           "2.body.0.weight",
                                           "2.body.0.bias",
                                           "2.body.2.body.1.weight",
                                           "2.body.2.body.1.bias",
                                           "2.shortcut.0.weight",
                                           "2.shortcut.0.bias",
                                           "5.weight",
                                           "5.bias"};
    struct model m;
    struct error err;
    int rc = model_parse(
        &m,
        "conv:4x3x3,relu,res(conv:6x1x1,relu,res(relu,conv:6x1x1)|conv:6x1x1),relu,flatten,dense",
        images, &err);
    uint64_t end = 0;
    cr_assert_eq(rc, 0, "%s", err.text);
    cr_assert_eq(m.n_tensors, sizeof expected / sizeof expected[0]);
    for (uint32_t i = 0; i < m.n_tensors; i++) {
        uint64_t n = 1;
        cr_assert_str_eq(m.tensors[i].name, expected[i]);
        cr_assert_eq(m.tensors[i].offset, end);
        for (uint32_t d = 0; d < m.tensors[i].n_dims; d++)
            n *= m.tensors[i].shape[d];
        end += n;
    }
    cr_assert_eq(end, m.dim);
}

Test(spec, refused_with_the_layer_and_both_shapes)
{
    static const struct {
        const char *spec, *texts[2];
        const struct data_shape *data;
    } cases[] = {
        {"", {"layer 0", "missing"}, &images},
        {"flatten,", {"layer 1", "missing"}, &images},
        {"flatten,,dense", {"layer 1", "missing"}, &images},
        {"flaten,dense", {"did you mean 'flatten'", ""}, &images},
        {"sofmax", {"did you mean 'softmax'", ""}, &images},
        {"lenet", {"did you mean 'lenet5'", ""}, &images},
        {"flatten,dense:10,frobnicate", {"layer 2", "right: dense, embed"}, &images},
        {"conv:32", {"layer 0", "32x3x3s2p1"}, &images},
        {"conv", {"lacks its arguments", "32x3x3s2p1"}, &images},
        {"conv:32x3x3s0", {"conv:", "[sSTRIDE]"}, &images},
        {"conv:0x3x3", {"conv:", "CHANNELS"}, &images},
        {"conv:70000x3x3", {"conv:", "CHANNELS"}, &images},
        {"conv:8x29x3,flatten,dense", {"29x3", "1x28x28"}, &images},
        {"dense:10", {"flat input, not 1x28x28", "flatten"}, &images},
        {"conv:4x3x3,dense:10", {"layer 1", "not 4x26x26"}, &images},
        {"flatten,conv:4x3x3", {"layer 1", "not 784"}, &images},
        {"conv:8x3x3", {"gives 8x26x26", "10"}, &images},
        {"flatten,dense:11", {"gives 11", "10"}, &images},
        {"flatten,dense,relu,dense", {"layer 1", "dense:128"}, &images},
        {"flatten,dense:0", {"1 to 65536", ""}, &images},
        {"flatten,dense:65536,dense:65536,dense", {"layer 2", "parameters so far"}, &images},
        {"conv:65536x1x1,flatten,dense", {"65536x28x28", "floats"}, &images},
        {"relu:3,flatten,dense", {"relu:", "nothing"}, &images},
        {"dropout:1.5,flatten,dense", {"0 to 0.99", ""}, &images},
        {"dropout:nan,flatten,dense", {"0 to 0.99", ""}, &images},
        {"conv:6x3x3,groupnorm:4,flatten,dense", {"4 groups", "6x26x26"}, &images},
        {"pool:2p2,flatten,dense", {"padding 2", "2x2"}, &images},
        {"res,flatten,dense", {"brackets", ""}, &images},
        {"res(),flatten,dense", {"layer 0.body.0", "missing"}, &images},
        {"res(relu,flatten,dense", {"layer 0", "needs its number"}, &images},
        {"res(relu", {"layer 0", "')'"}, &images},
        {"relu),flatten,dense", {"')", "after"}, &images},
        {"relu(tanh),flatten,dense", {"'(' after relu", ""}, &images},
        {"res(conv:4x3x3),flatten,dense", {"4x26x26", "1x28x28"}, &images},
        {"res(relu|conv:4x1x1),flatten,dense", {"1x28x28", "4x28x28"}, &images},
        {"res(res(res(res(res(relu))))),flatten,dense", {"more than 4", ""}, &images},
        {"embed:3,flatten,dense", {"tokens", "1x28x28"}, &images},
        {"flatten,dense", {"cannot take tokens", "embed:N"}, &tokens},
        {"mlp:16-5-64", {"cannot take tokens", "embed:N"}, &tokens},
        {"embed:3,dense", {"layer 1", "not 16x3"}, &tokens},
        {"lenet5:3", {"takes no sizes", ""}, &images},
        {"lenet5", {"takes images", "13 features"}, &pairs},
        {"logistic", {"10 classes", "two classes"}, &images},
        {"linear", {"10 classes", "softmax"}, &images},
        {"softmax", {"real targets", "linear"}, &reals},
        {"flatten,dense,loss:huber", {"no loss 'huber'", "hinge"}, &images},
        {"flatten,dense,loss:mse", {"mse loss does not fit", "10 classes"}, &images},
        {"softmax,loss:hinge", {"nothing may follow softmax", ",loss:hinge"}, &images},
        {"lenet5,relu", {"nothing may follow lenet5", ",relu"}, &images},
        {"mlp:784-10,relu", {"nothing may follow mlp", ",relu"}, &images},
        {"@/nowhere/model.txt", {"/nowhere/model.txt", ""}, &images},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model m;
        struct error err = {0};
        int rc = model_parse(&m, cases[i].spec, *cases[i].data, &err);
        cr_assert_eq(rc, cases[i].spec[0] == '@' ? ERR_DATA : ERR_USAGE, "%s: %d", cases[i].spec,
                     rc);
        for (int t = 0; t < 2; t++)
            cr_assert_not_null(strstr(err.text, cases[i].texts[t]), "%s: %s", cases[i].spec,
                               err.text);
        cr_assert_null(strchr(err.text, '\n'));
    }
    char text[3 * MODEL_SPEC_MAX] = "relu";
    struct model m;
    struct error err;
    for (int i = 0; i < 300; i++)
        strcat(text, ",relu");
    cr_assert_eq(model_parse(&m, text, data_flat(10, 10), &err), ERR_USAGE);
    cr_assert_not_null(strstr(err.text, "too many layers"), "%s", err.text);
    for (int i = 0; i < 300; i++)
        strcat(text, ",relu");
    cr_assert_eq(model_parse(&m, text, data_flat(10, 10), &err), ERR_USAGE);
    cr_assert_not_null(strstr(err.text, "longer than"), "%s", err.text);
}

Test(spec, files)
{
    static const struct {
        const char *text, *canonical, *error;
    } cases[] = {
        {"# a small one\nconv:8x3x3   # first\nrelu\n\nres(\n  conv:8x3x3p1\n  relu\n|\n  tanh\n)\n"
         "flatten, dense\n",
         "conv:8x3x3,relu,res(conv:8x3x3p1,relu|tanh),flatten,dense:10", NULL},
        {"softmax", "softmax:784-10", NULL},
        {"flatten\ndense\nloss:hinge\n", "flatten,dense:10,loss:hinge", NULL},
        {"flatten\ndence\n", NULL, "did you mean 'dense'"},
        {"# nothing\n", NULL, "missing"},
        {"conv:8x3x3", NULL, "gives 8x26x26"},
    };
    char path[] = "/tmp/hubbub-spec-XXXXXX", named[64];
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    snprintf(named, sizeof named, "@%s", path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model m;
        struct error err;
        FILE *f = fopen(path, "w");
        fputs(cases[i].text, f);
        fclose(f);
        int rc = model_parse(&m, i % 2 == 0 ? named : path, images, &err);
        if (cases[i].error == NULL) {
            cr_assert_eq(rc, 0, "%s", err.text);
            cr_assert_str_eq(m.spec, cases[i].canonical);
            continue;
        }
        cr_assert_eq(rc, ERR_DATA);
        cr_assert(strstr(err.text, cases[i].error) && strstr(err.text, path), "%s", err.text);
    }
    close(fd);
    unlink(path);
}

Test(spec, short_names_for_the_wire)
{
    struct model m, other;
    struct error err;
    char name[64], name2[64];
    const char *spec =
        "flatten,dense:100,relu,dense:100,relu,dense:100,relu,dense:100,relu,dense:%d,"
        "relu,dense";
    char text[200];
    snprintf(text, sizeof text, spec, 100);
    cr_assert_eq(model_parse(&m, text, images, &err), 0);
    snprintf(text, sizeof text, spec, 101);
    cr_assert_eq(model_parse(&other, text, images, &err), 0);
    model_name(&m, name, sizeof name);
    model_name(&other, name2, sizeof name2);
    cr_assert_lt(strlen(name), sizeof name);
    cr_assert_str_neq(name, name2);
    cr_assert_eq(strncmp(name, "flatten,dense:100", 17), 0);
    cr_assert_eq(model_parse(&m, "softmax", images, &err), 0);
    model_name(&m, name, sizeof name);
    cr_assert_str_eq(name, "softmax:784-10");
}
