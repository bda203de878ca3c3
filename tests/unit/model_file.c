#include "model/file.h"

#include "base/mem.h"
#include "model/meta.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(model_file, .timeout = 120);

static struct model m;
static float *theta, *back;
static char dir[FILES_DIR_MAX];
static struct error err;
static json_t *meta;

static const char *const endings[] = {"npz", "safetensors"};
static char paths[2][FILES_PATH_MAX]; /* the same model in both formats */

static void setup(void)
{
    const struct data_pair data = {.train = {.shape = data_flat(7, 3), .scale_all = 1.0f / 255}};
    files_begin(dir);
    cr_assert_eq(model_parse(&m, "mlp:7-5-3", data.train.shape, &err), 0);
    theta = MEM_NEW(float, m.dim);
    back = MEM_NEW(float, m.dim);
    model_init(&m, 1, theta);
    meta = meta_new(&m, &data);
    json_object_set_new(meta, "step", json_integer(7));
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/model.%s", dir, endings[i]);
        cr_assert_eq(model_file_write(paths[i], &m, theta, meta, &err), 0, "%s", err.text);
    }
}

static void teardown(void)
{
    json_decref(meta);
    free(theta);
    free(back);
    files_end(dir);
}

Test(model_file, round_trip, .init = setup, .fini = teardown)
{
    for (int i = 0; i < 2; i++) {
        struct model_file f;
        struct model own;
        memset(back, 0, m.dim * sizeof *back);
        cr_assert_eq(model_file_open(&f, paths[i], &err), 0, "%s", err.text);
        cr_assert_eq(f.n_tensors, 4);
        cr_assert_str_eq(f.tensors[2].name, "2.weight");
        cr_assert(f.tensors[2].n_dims == 2 && f.tensors[2].shape[0] == 3);
        cr_assert_eq(f.tensors[0].offset % 64, i == 0 ? f.tensors[0].offset % 64 : 0);
        cr_assert_eq(json_integer_value(json_object_get(f.meta, "step")), 7);
        cr_assert_eq(meta_model(&f, NULL, NULL, &own, &err), 0, "%s", err.text);
        cr_assert_str_eq(own.spec, m.spec);
        cr_assert_eq(model_file_read(&f, &own, back, &err), 0, "%s", err.text);
        cr_assert_arr_eq(theta, back, m.dim * sizeof *theta);
        model_file_close(&f);
    }
}

Test(model_file, same_model_same_file, .init = setup, .fini = teardown)
{
    sleep(1);
    for (int i = 0; i < 2; i++) {
        size_t n, n_again;
        uint8_t *bytes = files_read(paths[i], &n);
        cr_assert_eq(model_file_write(paths[i], &m, theta, meta, &err), 0);
        uint8_t *again = files_read(paths[i], &n_again);
        cr_assert_eq(n, n_again);
        cr_assert_arr_eq(bytes, again, n);
        free(bytes);
        free(again);
    }
}

static void python(const char *script, const char *argument)
{
    char file[FILES_PATH_MAX], command[3 * FILES_PATH_MAX];
    files_write(dir, "script.py", script, strlen(script), 0, file);
    snprintf(command, sizeof command, "/usr/bin/python3 %s %s %s", file, dir, argument);
    cr_assert_eq(system(command), 0);
}

Test(model_file, numpy_reads_what_is_written, .init = setup, .fini = teardown)
{
    python("import sys, json, zipfile, numpy as np\n"
           "p = sys.argv[1] + '/model.npz'\n"
           "f = np.load(p)\n"
           "assert zipfile.ZipFile(p).testzip() is None\n"
           "assert set(f.files) == {'0.weight', '0.bias', '2.weight', '2.bias', 'hubbub.json'}\n"
           "assert f['0.weight'].shape == (5, 7) and f['2.bias'].shape == (3,)\n"
           "assert f['0.weight'].dtype == np.float32\n"
           "assert json.loads(f['hubbub.json'])['step'] == 7\n"
           "b = open(sys.argv[1] + '/model.safetensors', 'rb').read()\n"
           "n = int.from_bytes(b[:8], 'little')\n"
           "h = json.loads(b[8:8 + n])\n"
           "assert json.loads(h.pop('__metadata__')['hubbub'])['step'] == 7\n"
           "for k, v in h.items():\n"
           "    x = np.frombuffer(b[8 + n:], '<f4')[v['data_offsets'][0] // 4:]\n"
           "    assert np.array_equal(x[:f[k].size].reshape(v['shape']), f[k]), k\n",
           "");
}

/* What numpy and others write, in every dtype and order, is read; and what cannot be is refused
 * with what would be right. */
Test(model_file, reads_what_numpy_writes, .init = setup, .fini = teardown)
{
    static const struct {
        const char *name;
        double tolerance;
        const char *texts[2]; /* of the error, where it is refused */
    } cases[] = {
        {"plain.npz", 0, {0}},
        {"f8.npz", 1e-7, {0}},
        {"f2.npz", 1e-3, {0}},
        {"turned.npz", 0, {0}},
        {"flat.npy", 0, {0}},
        {"flat8.npy", 1e-7, {0}},
        {"packed.npz", 0, {"0.weight.npy", "compressed"}},
        {"i8.npz", 0, {"tensor 0.weight: dtype <i8", "<f4"}},
        {"big.npz", 0, {"tensor 0.weight: dtype >f4", "<f4"}},
        {"order.npz", 0, {"tensor 0.weight: Fortran order", "C order"}},
        {"shape.npz", 0, {"tensor 2.weight: shape (5, 3)", "right: (3, 5)"}},
        {"missing.npz", 0, {"tensor 2.weight: missing", "mlp:7-5-3"}},
        {"extra.npz", 0, {"tensor 3.weight: is none of the model's 4", "mlp:7-5-3"}},
        {"huge.npz", 0, {"tensor 2.bias: element 1 is 1e+300", "3.40282e+38"}},
        {"nan.npz", 0, {"tensor 2.bias: element 2 is NaN", "finite"}},
        {"inf2.npz", 0, {"tensor 2.bias: element 0 is infinite", "finite"}},
        {"square.npy", 0, {"tensor theta: shape (2, 29)", "right: (58,)"}},
        {"short.npy", 0, {"tensor theta: shape (57,)", "right: (58,)"}},
        {"pickle.npy", 0, {"tensor theta: dtype |O", "<f4"}},
        {"records.npy", 0, {"tensor theta: dtype [('a'", "<f4"}},
        {"model.pt", 0, {"pickle of torch.save", "numpy.savez"}},
    };
    python("import sys, zipfile, numpy as np\n"
           "p = sys.argv[1] + '/'\n"
           "f = np.load(p + 'model.npz')\n"
           "d = {k: f[k] for k in f.files if k != 'hubbub.json'}\n"
           "flat = np.concatenate([v.ravel() for v in d.values()])\n"
           "def save(name, **changes): np.savez(p + name + '.npz', **{**d, **changes})\n"
           "def edit(k, i, x, t):\n"
           "    v = d[k].astype(t); v[i] = x; return {k: v}\n"
           "save('plain')\n"
           "np.savez_compressed(p + 'packed.npz', **d)\n"
           "for name, t in ('f8', 'f8'), ('f2', 'f2'), ('i8', 'i8'), ('big', '>f4'):\n"
           "    save(name, **{k: v.astype(t) for k, v in d.items()})\n"
           "np.savez(p + 'turned.npz', **dict(reversed(list(d.items()))))\n"
           "np.save(p + 'flat.npy', flat)\n"
           "np.save(p + 'flat8.npy', flat.astype('f8'))\n"
           "save('order', **{k: np.asfortranarray(v) for k, v in d.items()})\n"
           "save('shape', **{'2.weight': d['2.weight'].T.copy()})\n"
           "np.savez(p + 'missing.npz', **{k: v for k, v in d.items() if k != '2.weight'})\n"
           "save('extra', **{'3.weight': flat})\n"
           "save('huge', **edit('2.bias', 1, 1e300, 'f8'))\n"
           "save('nan', **edit('2.bias', 2, np.nan, 'f4'))\n"
           "save('inf2', **edit('2.bias', 0, np.inf, 'f2'))\n"
           "np.save(p + 'square.npy', flat.reshape(2, 29))\n"
           "np.save(p + 'short.npy', flat[1:])\n"
           "np.save(p + 'pickle.npy', np.array([{}] * 58, dtype=object))\n"
           "np.save(p + 'records.npy', np.zeros(58, dtype=[('a', 'f4'), ('b', 'f4')]))\n"
           "with zipfile.ZipFile(p + 'model.pt', 'w') as z: z.writestr('archive/data.pkl', b'x')\n",
           "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char file[FILES_PATH_MAX];
        snprintf(file, sizeof file, "%s/%s", dir, cases[i].name);
        memset(back, 0, m.dim * sizeof *back);
        int rc = model_file_load(file, &m, back, &err);
        if (cases[i].texts[0] == NULL) {
            cr_assert_eq(rc, 0, "%s: %s", cases[i].name, err.text);
            for (uint64_t k = 0; k < m.dim; k++)
                cr_assert(fabs((double)(theta[k] - back[k])) <= cases[i].tolerance, "%s",
                          cases[i].name);
            continue;
        }
        cr_assert_eq(rc, ERR_DATA, "%s", cases[i].name);
        cr_assert_not_null(strstr(err.text, file), "%s", err.text);
        for (int t = 0; t < 2; t++)
            cr_expect_not_null(strstr(err.text, cases[i].texts[t]), "%s: %s", cases[i].name,
                               err.text);
    }
}

/* Any byte changed or any cut: refused, or the same weights; never a crash, never other weights. */
Test(model_file, damaged_anywhere, .init = setup, .fini = teardown)
{
    for (int p = 0; p < 2; p++) {
        size_t n;
        uint8_t *bytes = files_read(paths[p], &n);
        uint32_t refused = 0;
        for (size_t i = 0; i < 2 * n; i++) {
            char broken[FILES_PATH_MAX], name[32];
            bool cut = i >= n;
            uint8_t old = bytes[i % n];
            snprintf(name, sizeof name, "broken.%s", endings[p]);
            bytes[i % n] ^= (uint8_t)(cut ? 0 : i % 2 == 0 ? 0x80 : 0x03);
            files_write(dir, name, bytes, cut ? i - n : n, 0, broken);
            bytes[i % n] = old;
            if (model_file_load(broken, &m, back, &err) == 0) {
                cr_assert_arr_eq(theta, back, m.dim * sizeof *theta, "%s: byte %zu", name, i);
                cr_assert(!cut);
            } else {
                cr_assert_eq(err.code, ERR_DATA);
                cr_assert_not_null(strstr(err.text, broken), "%s", err.text);
                refused++;
            }
        }
        cr_assert_gt(refused, n + n / 2);
        free(bytes);
    }
}

static void safetensors(const char *header, uint64_t length, size_t n_data, char *path)
{
    uint8_t bytes[2048] = {0};
    memcpy(bytes, &length, sizeof length);
    memcpy(bytes + 8, header, strlen(header));
    files_write(dir, "made.safetensors", bytes, 8 + strlen(header) + n_data, 0, path);
}

Test(model_file, safetensors_refused, .init = setup, .fini = teardown)
{
    static const struct {
        const char *header, *text;
        size_t n_data;
    } cases[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "tensor 0.weight: missing", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "tensor a: ends at byte 8 of the data, which has 4", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "4 bytes behind the last tensor", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
         "tensor a: 8 bytes of elements (right: 12)", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
         "tensor a: \"data_offsets\" is no pair", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         "tensor b: begins at byte 0 of the data (right: 4", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "tensor a: begins at byte 4 of the data (right: 0", 8},
        {"{\"a\":{\"dtype\":\"F99\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "tensor a: \"dtype\" is F99 (right: F32", 8},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor a: \"dtype\" is missing", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
         "tensor a: size 0 of \"shape\"", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1099511627776,4294967296],\"data_offsets\":[0,8]}}",
         "tensor a: shape (1099511627776, 4294967296): more than 1073741824", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
         "at most 8 sizes", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":\"2\",\"data_offsets\":[0,8]}}",
         "\"shape\" is no list", 8},
        {"{\"a\":[1]}", "tensor a: \"dtype\" is missing", 8},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "tensor 0: its name has 0 bytes", 8},
        {"{\"\\u0007\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "not all of them printable", 8},
        {"{\"a\":1,\"a\":2}", "duplicate object key", 0},
        {"[1]", "the header is no JSON object", 0},
        {"{\"__metadata__\":{\"hubbub\":3}}", "\"hubbub\" in __metadata__ is no string", 0},
        {"{\"__metadata__\":{\"hubbub\":\"{]\"}}", "metadata, byte 2: no JSON object", 0},
    };
    char path[FILES_PATH_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        safetensors(cases[i].header, strlen(cases[i].header), cases[i].n_data, path);
        cr_expect_eq(model_file_load(path, &m, back, &err), ERR_DATA, "%zu", i);
        cr_expect_not_null(strstr(err.text, path), "%s", err.text);
        cr_expect_not_null(strstr(err.text, cases[i].text), "%zu: %s", i, err.text);
    }
    static const uint64_t lengths[] = {3, 1 << 20, (uint64_t)1 << 62, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        safetensors("{}", lengths[i], 0, path);
        cr_expect_eq(model_file_load(path, &m, back, &err), ERR_DATA);
        cr_expect_not_null(strstr(err.text, "offset 0: a header of"), "%s", err.text);
    }
}

/* Without a checksum in the format, the hash in the metadata tells that a weight has changed. */
Test(model_file, safetensors_changed, .init = setup, .fini = teardown)
{
    size_t n;
    char path[FILES_PATH_MAX];
    uint8_t *bytes = files_read(paths[1], &n);
    bytes[n - 3] ^= 1;
    files_write(dir, "changed.safetensors", bytes, n, 0, path);
    cr_assert_eq(model_file_load(path, &m, back, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "the weights hash to"), "%s", err.text);
    free(bytes);
}

Test(model_file, not_a_model, .init = setup, .fini = teardown)
{
    static const struct {
        const char *name, *text;
        size_t n;
        const char *bytes;
    } cases[] = {
        {"empty", "is empty", 0, ""},
        {"words.txt", "begins with 68 65 6c 6c: neither .npz", 11, "hello world"},
        {"words.npz", "too short for a zip file", 11, "hello world"},
        {"gzip.npz", "no end record of a zip file", 30, "\x1f\x8b                            "},
        {"short.safetensors", "too few", 5, "hello"},
        {"head.npy", "not an .npy array of version", 11, "\x93NUMPY\1\0\1\0 "},
        {"version.npy", "not an .npy array of version", 13, "\x93NUMPY\7\0\1\0   "},
        {"long.npy", "the .npy header has 4660 bytes", 13, "\x93NUMPY\1\0\x34\x12   "},
        {"void.npy", "lacks descr", 13, "\x93NUMPY\1\0\3\0{ }"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[FILES_PATH_MAX];
        files_write(dir, cases[i].name, cases[i].bytes, cases[i].n, 0, path);
        cr_expect_eq(model_file_load(path, &m, back, &err), ERR_DATA, "%s", cases[i].name);
        cr_expect_not_null(strstr(err.text, cases[i].text), "%s: %s", cases[i].name, err.text);
    }
    cr_assert_eq(model_file_load(dir, &m, back, &err), ERR_DATA);
}

Test(model_file, npy_headers, .init = setup, .fini = teardown)
{
    static const struct {
        const char *header, *text;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (58,), }", NULL},
        {"{'descr':'<f4','fortran_order':True,'shape':(58,)}", NULL},
        {"{'shape': ( 58 , ), 'fortran_order': False, 'descr': '<f4'}", NULL},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (58,), }", "fortran_order Maybe"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (58;), }", "shape (58;)"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 58, }", "shape 58"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (58", "shape (58"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,58), }", "at most 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
         "shape (99999"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
         "more than 1073741824 elements"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (59,), }",
         "232 bytes of elements (right: 236)"},
        {"{'descr': '<f4", "lacks"},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (58,), }", "dtype"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[512] = "\x93NUMPY\1\0";
        char path[FILES_PATH_MAX];
        size_t n = strlen(cases[i].header);
        bytes[8] = (uint8_t)n;
        memcpy(bytes + 10, cases[i].header, n);
        memcpy(bytes + 10 + n, theta, m.dim * sizeof *theta);
        files_write(dir, "x.npy", bytes, 10 + n + m.dim * sizeof *theta, 0, path);
        int rc = model_file_load(path, &m, back, &err);
        cr_expect_eq(rc, cases[i].text != NULL ? ERR_DATA : 0, "%zu: %s", i, err.text);
        if (rc != 0)
            cr_expect_not_null(strstr(err.text, cases[i].text), "%zu: %s", i, err.text);
        else
            cr_expect_arr_eq(theta, back, m.dim * sizeof *theta);
    }
}

/* The old file stays when the new one cannot be written. */
Test(model_file, write_errors, .init = setup, .fini = teardown)
{
    char nowhere[2 * FILES_PATH_MAX], folder[FILES_PATH_MAX];
    snprintf(nowhere, sizeof nowhere, "%s/none/model.npz", dir);
    cr_assert_eq(model_file_write(nowhere, &m, theta, meta, &err), ERR_FAILURE);
    cr_assert_not_null(strstr(err.text, "No such file"), "%s", err.text);
    snprintf(nowhere, sizeof nowhere, "%s/model.pt", dir);
    cr_assert_eq(model_file_write(nowhere, &m, theta, meta, &err), ERR_USAGE);
    cr_assert_not_null(strstr(err.text, ".npz or .safetensors"), "%s", err.text);
    snprintf(folder, sizeof folder, "%s.npz", dir);
    cr_assert_eq(rename(dir, folder), 0);
    cr_assert_eq(model_file_write(folder, &m, theta, meta, &err), ERR_FAILURE);
    snprintf(nowhere, sizeof nowhere, "%s.tmp-%ld", folder, (long)getpid());
    cr_assert_neq(access(nowhere, F_OK), 0);
    cr_assert_eq(rename(folder, dir), 0);
}
