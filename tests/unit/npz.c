#include "model/npz.h"

#include "base/mem.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(npz, .timeout = 60);

static struct model m;
static float *theta, *back;
static char dir[FILES_DIR_MAX], path[FILES_PATH_MAX];
static struct error err;

static void setup(void)
{
    files_begin(dir);
    snprintf(path, sizeof path, "%s/model.npz", dir);
    cr_assert_eq(model_parse(&m, "mlp:7-5-3", data_flat(7, 3), &err), 0);
    theta = MEM_NEW(float, m.dim);
    back = MEM_NEW(float, m.dim);
    model_init(&m, 1, theta);
    cr_assert_eq(npz_write(path, &m, theta, "{\"step\": 7}", &err), 0, "%s", err.text);
}

static void teardown(void)
{
    free(theta);
    free(back);
    files_end(dir);
}

Test(npz, round_trip, .init = setup, .fini = teardown)
{
    char *json;
    cr_assert_eq(npz_read(path, &m, back, &err), 0, "%s", err.text);
    cr_assert_arr_eq(theta, back, m.dim * sizeof *theta);
    cr_assert_eq(npz_member(path, "hubbub.json", 11, &json, &err), 0, "%s", err.text);
    cr_assert_str_eq(json, "{\"step\": 7}");
    free(json);
    cr_assert_eq(npz_member(path, "hubbub.json", 10, &json, &err), ERR_DATA);
    cr_assert_null(json);
    cr_assert_eq(npz_member(path, "nothing", 10, &json, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "member nothing: missing"));
}

Test(npz, writes_what_numpy_reads_and_back, .init = setup, .fini = teardown)
{
    static const char script[] =
        "import sys, zipfile, numpy as np\n"
        "p = sys.argv[1]\n"
        "f = np.load(p)\n"
        "assert zipfile.ZipFile(p).testzip() is None\n"
        "assert set(f.files) == {'0.weight', '0.bias', '2.weight', '2.bias', 'hubbub.json'}\n"
        "assert f['0.weight'].shape == (5, 7) and f['2.bias'].shape == (3,)\n"
        "assert f['0.weight'].dtype == np.float32 and f['hubbub.json'] == b'{\"step\": 7}'\n"
        "d = {k: f[k] + 1 for k in f.files if k != 'hubbub.json'}\n"
        "np.savez(sys.argv[2] + '/plain.npz', **d)\n"
        "np.savez_compressed(sys.argv[2] + '/packed.npz', **d)\n"
        "np.savez(sys.argv[2] + '/f8.npz', **{k: v.astype('f8') for k, v in d.items()})\n"
        "np.savez(sys.argv[2] + '/order.npz', **{k: np.asfortranarray(v) for k, v in d.items()})\n"
        "d['2.weight'] = d['2.weight'].T.copy()\n"
        "np.savez(sys.argv[2] + '/shape.npz', **d)\n"
        "del d['2.weight']\n"
        "np.savez(sys.argv[2] + '/missing.npz', **d)\n";
    static const struct {
        const char *name, *texts[2];
    } cases[] = {
        {"packed", {"0.weight.npy", "compressed"}}, {"f8", {"dtype '<f8'", "'<f4'"}},
        {"order", {"Fortran", "C order"}},          {"shape", {"shape (5, 3)", "right: (3, 5)"}},
        {"missing", {"2.weight.npy", "missing"}},
    };
    char file[FILES_PATH_MAX], command[3 * FILES_PATH_MAX];
    files_write(dir, "script.py", script, strlen(script), 0, file);
    snprintf(command, sizeof command, "/usr/bin/python3 %s %s %s", file, path, dir);
    cr_assert_eq(system(command), 0);
    snprintf(file, sizeof file, "%s/plain.npz", dir);
    cr_assert_eq(npz_read(file, &m, back, &err), 0, "%s", err.text);
    for (uint64_t i = 0; i < m.dim; i++)
        cr_assert(fabs((double)back[i] - (double)theta[i] - 1) < 1e-6);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(file, sizeof file, "%s/%s.npz", dir, cases[i].name);
        cr_assert_eq(npz_read(file, &m, back, &err), ERR_DATA, "%s", cases[i].name);
        for (int t = 0; t < 2; t++)
            cr_assert_not_null(strstr(err.text, cases[i].texts[t]), "%s", err.text);
    }
}

/* Any byte changed or any cut: refused, or the same weights; never a crash, never other weights. */
Test(npz, damaged_anywhere, .init = setup, .fini = teardown)
{
    size_t n;
    uint8_t *bytes = files_read(path, &n);
    uint32_t refused = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        char broken[FILES_PATH_MAX];
        bool cut = i >= n;
        uint8_t old = bytes[i % n];
        bytes[i % n] ^= (uint8_t)(cut ? 0 : i % 2 == 0 ? 0x80 : 0x03);
        files_write(dir, "broken.npz", bytes, cut ? i - n : n, 0, broken);
        bytes[i % n] = old;
        char *json = NULL;
        if (npz_member(broken, "hubbub.json", 1000, &json, &err) == 0)
            cr_assert_str_eq(json, "{\"step\": 7}");
        free(json);
        if (npz_read(broken, &m, back, &err) == 0) {
            cr_assert_arr_eq(theta, back, m.dim * sizeof *theta);
            cr_assert(!cut);
        } else {
            cr_assert_eq(err.code, ERR_DATA);
            cr_assert_not_null(strstr(err.text, broken));
            refused++;
        }
    }
    cr_assert_gt(refused, n + n / 2);
    free(bytes);
}

Test(npz, not_finite, .init = setup, .fini = teardown)
{
    theta[m.tensors[2].offset + 4] = INFINITY;
    cr_assert_eq(npz_write(path, &m, theta, "{}", &err), 0);
    cr_assert_eq(npz_read(path, &m, back, &err), ERR_DATA);
    cr_assert_not_null(strstr(err.text, "2.weight.npy: element 4"), "%s", err.text);
}

Test(npz, same_model_same_file, .init = setup, .fini = teardown)
{
    size_t n, n_again;
    uint8_t *bytes = files_read(path, &n);
    sleep(1);
    cr_assert_eq(npz_write(path, &m, theta, "{\"step\": 7}", &err), 0);
    uint8_t *again = files_read(path, &n_again);
    cr_assert_eq(n, n_again);
    cr_assert_arr_eq(bytes, again, n);
    free(bytes);
    free(again);
}

/* The old file stays when the new one cannot be written. */
Test(npz, write_errors, .init = setup, .fini = teardown)
{
    char nowhere[FILES_PATH_MAX];
    snprintf(nowhere, sizeof nowhere, "%s/none/model.npz", dir);
    cr_assert_eq(npz_write(nowhere, &m, theta, "{}", &err), ERR_FAILURE);
    cr_assert_not_null(strstr(err.text, "No such file"), "%s", err.text);
    cr_assert_eq(npz_write(dir, &m, theta, "{}", &err), ERR_FAILURE);
    snprintf(nowhere, sizeof nowhere, "%s.tmp-%ld", dir, (long)getpid());
    cr_assert_neq(access(nowhere, F_OK), 0);
    cr_assert_eq(npz_read(dir, &m, back, &err), ERR_DATA);
    cr_assert_eq(npz_read(nowhere, &m, back, &err), ERR_DATA);
}
