#include "model/torch.h"

#include "base/check.h"
#include "model/meta.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- modules -------------------------------------------------------------------------------- */

static void conv(const struct layer *l, FILE *out)
{
    fprintf(out,
            "nn.Conv2d(%" PRIu32 ", %" PRIu32 ", (%" PRIu32 ", %" PRIu32 "), stride=%" PRIu32
            ", padding=%" PRIu32 "%s)",
            l->in.dims[0], l->size, l->kernel[0], l->kernel[1], l->stride, l->padding,
            l->bias.n_dims == 0 ? ", bias=False" : "");
}

static void window(const char *module, const struct layer *l, FILE *out)
{
    fprintf(out, "nn.%s((%" PRIu32 ", %" PRIu32 "), stride=%" PRIu32 ", padding=%" PRIu32 ")",
            module, l->kernel[0], l->kernel[1], l->stride, l->padding);
}

static void layernorm(const struct layer *l, FILE *out)
{
    fputs("nn.LayerNorm((", out);
    for (uint32_t d = 0; d < l->weight.n_dims; d++)
        fprintf(out, "%" PRIu64 ", ", l->weight.shape[d]);
    fputs("))", out);
}

static void simple(const struct layer *l, FILE *out)
{
    static const struct {
        const struct layer_ops *ops;
        const char *module;
    } modules[] = {{&layer_relu, "ReLU()"},
                   {&layer_gelu, "GELU()"},
                   {&layer_tanh, "Tanh()"},
                   {&layer_sigmoid, "Sigmoid()"},
                   {&layer_flatten, "Flatten()"}};
    size_t i = 0, n = sizeof modules / sizeof modules[0];
    while (i < n && modules[i].ops != l->ops)
        i++;
    CHECK(i < n && "every layer that model_parse makes has its module");
    fprintf(out, "nn.%s", modules[i].module);
}

static void print_range(const struct layer *nodes, uint32_t n, int depth, FILE *out);

static void residual(const struct layer *l, int depth, FILE *out)
{
    fputs("Residual(\n", out);
    fprintf(out, "%*snn.Sequential(\n", 4 * depth + 4, "");
    print_range(l + 1, l->n_body, depth + 2, out);
    fprintf(out, "%*s),\n%*snn.Sequential(\n", 4 * depth + 4, "", 4 * depth + 4, "");
    print_range(l + 1 + l->n_body, l->n_inner - l->n_body, depth + 2, out);
    fprintf(out, "%*s))", 4 * depth + 4, "");
}

static void print_layer(const struct layer *l, int depth, FILE *out)
{
    fprintf(out, "%*s", 4 * depth, "");
    if (l->ops == &layer_dense)
        fprintf(out, "nn.Linear(%" PRIu32 ", %" PRIu32 ")", l->n_in, l->n_out);
    else if (l->ops == &layer_embed)
        fprintf(out, "Embedding(%" PRIu32 ", %" PRIu32 ")", l->n_tokens, l->size);
    else if (l->ops == &layer_conv)
        conv(l, out);
    else if (l->ops == &layer_maxpool)
        window("MaxPool2d", l, out);
    else if (l->ops == &layer_avgpool && l->kernel[0] > 0)
        window("AvgPool2d", l, out);
    else if (l->ops == &layer_avgpool)
        fputs("nn.AdaptiveAvgPool2d(1)", out);
    else if (l->ops == &layer_dropout)
        fprintf(out, "nn.Dropout(%.9g)", (double)l->rate);
    else if (l->ops == &layer_layernorm)
        layernorm(l, out);
    else if (l->ops == &layer_groupnorm)
        fprintf(out, "nn.GroupNorm(%" PRIu32 ", %" PRIu32 ")", l->size, l->in.dims[0]);
    else if (l->ops == &layer_res)
        residual(l, depth, out);
    else
        simple(l, out);
    fputs(",\n", out);
}

static void print_range(const struct layer *nodes, uint32_t n, int depth, FILE *out)
{
    for (uint32_t i = 0; i < n; i += 1 + nodes[i].n_inner)
        if (nodes[i].ops != &layer_transpose)
            print_layer(&nodes[i], depth, out);
}

/* ---- the file ------------------------------------------------------------------------------- */

/* JSON strings, numbers and lists of them are Python, too. */
static void constant(const char *name, const json_t *value, FILE *out)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(17));
    CHECK(text != NULL);
    fprintf(out, "%s = %s\n", name, json_is_null(value) ? "None" : text);
    free(text);
}

static void own_constant(const char *name, json_t *value, FILE *out)
{
    constant(name, value != NULL ? value : json_null(), out);
    json_decref(value);
}

static void print_constants(const struct model_file *f, const struct model *m, FILE *out)
{
    const json_t *preprocessing = json_object_get(f->meta, "preprocessing");
    const json_t *shift = json_object_get(preprocessing, "shift");
    const json_t *scale = json_object_get(preprocessing, "scale");
    const json_t *labels = json_object_get(f->meta, "labels");
    const struct shape *in = &m->nodes[0].in;
    json_t *shape = json_array();
    char fingerprint[META_HASH_MAX];
    meta_fingerprint(f->meta, fingerprint);
    own_constant("FILE", json_string(f->path), out);
    own_constant("MODEL", json_string(m->spec), out);
    own_constant("FINGERPRINT", json_string(fingerprint), out);
    for (uint32_t d = 0; d < in->n_dims; d++)
        json_array_append_new(shape, json_integer(in->dims[d]));
    own_constant("SHAPE", shape, out);
    own_constant("LABELS", labels != NULL ? json_deep_copy(labels) : NULL, out);
    own_constant("SHIFT", shift != NULL ? json_deep_copy(shift) : json_real(0), out);
    own_constant("SCALE", scale != NULL ? json_deep_copy(scale) : json_real(1), out);
}

static const char head[] = "import json\n"
                           "import sys\n"
                           "\n"
                           "import numpy\n"
                           "import torch\n"
                           "from torch import nn\n"
                           "\n";

static const char classes[] = "\n"
                              "\n"
                              "class Residual(nn.Module):\n"
                              "    def __init__(self, body, shortcut):\n"
                              "        super().__init__()\n"
                              "        self.body, self.shortcut = body, shortcut\n"
                              "\n"
                              "    def forward(self, x):\n"
                              "        return self.body(x) + self.shortcut(x)\n"
                              "\n"
                              "\n"
                              "class Embedding(nn.Embedding):\n"
                              "    def forward(self, x):\n"
                              "        return super().forward(x.long())\n"
                              "\n"
                              "\n"
                              "def make():\n"
                              "    return nn.Sequential(\n";

static const char tail[] =
    "    )\n"
    "\n"
    "\n"
    "def read(path):\n"
    "    \"\"\"Names and arrays of an .npz or .safetensors file.\"\"\"\n"
    "    if open(path, 'rb').read(2) == b'PK':\n"
    "        with numpy.load(path) as f:\n"
    "            return {k: f[k] for k in f.files if k != 'hubbub.json'}\n"
    "    types = {'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': '<u2'}\n"
    "    with open(path, 'rb') as f:\n"
    "        header = json.loads(f.read(int.from_bytes(f.read(8), 'little')))\n"
    "        data = f.read()\n"
    "    arrays = {}\n"
    "    for name, t in header.items():\n"
    "        if name != '__metadata__':\n"
    "            first, end = t['data_offsets']\n"
    "            array = numpy.frombuffer(data[first:end], types[t['dtype']])\n"
    "            if t['dtype'] == 'BF16':\n"
    "                array = (array.astype('<u4') << 16).view('<f4')\n"
    "            arrays[name] = array.reshape(t['shape'])\n"
    "    return arrays\n"
    "\n"
    "\n"
    "def load(path=FILE):\n"
    "    model = make()\n"
    "    model.load_state_dict({k: torch.tensor(v.astype('f4')) for k, v in read(path).items()})\n"
    "    return model.eval()\n"
    "\n"
    "\n"
    "def normalise(x):\n"
    "    \"\"\"Samples as their file has them, a row each, to what the model takes.\"\"\"\n"
    "    x = numpy.asarray(x, 'f4').reshape(len(x), -1)\n"
    "    x = (x - numpy.asarray(SHIFT, 'f4')) * numpy.asarray(SCALE, 'f4')\n"
    "    return torch.from_numpy(x.reshape(-1, *SHAPE))\n"
    "\n"
    "\n"
    "if __name__ == '__main__':\n"
    "    model = load()\n"
    "    if len(sys.argv) < 2:\n"
    "        print(model)\n"
    "        print(sum(p.numel() for p in model.parameters()), 'weights from', FILE)\n"
    "    else:\n"
    "        with torch.no_grad():\n"
    "            logits = model(normalise(numpy.load(sys.argv[1]))).numpy()\n"
    "        numpy.savetxt(sys.stdout, logits, '%.9g', ',')\n";

void torch_print(const struct model_file *f, const struct model *m, FILE *out)
{
    fprintf(
        out,
        "#!/usr/bin/env python3\n"
        "\"\"\"A model of hubbub in PyTorch. As a program: prints the module, or with an "
        ".npy of samples\n(as their file has them, before normalisation) their logits.\"\"\"\n");
    fputs(head, out);
    print_constants(f, m, out);
    fputs(classes, out);
    print_range(m->nodes, m->n_nodes, 2, out);
    fputs(tail, out);
}
