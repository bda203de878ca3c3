/* Model files: .npz (as numpy writes and reads them), .safetensors, and a flat .npy.
 *
 * One tensor a layer's parameter, under PyTorch's state_dict name and with its shape; and metadata,
 * a JSON object (model/meta.h) that makes the file enough to evaluate. docs/MODEL_FILES.md shows
 * both. A file is told by its content when read, by its name's ending when written.
 *
 * Any bytes are safe: every size is checked against the file before anything is allocated for it,
 * and nothing that a file says reaches a CHECK. Reading copies with pread and maps nothing: theta
 * is changed by training, so it must be copied once in any case, and a mapped file that another
 * process cuts short would end this one with SIGBUS.
 *
 * One thread at a time per file.
 */
#ifndef HUBBUB_MODEL_FILE_H
#define HUBBUB_MODEL_FILE_H

#include "base/error.h"
#include "base/file.h"
#include "data/zip.h"
#include "model/dtype.h"
#include "model/model.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    FILE_TENSORS_MAX = 4096,
    FILE_DIMS_MAX = 8,
    FILE_NAME_MAX = 128,        /* of a tensor, with its NUL; printable ASCII */
    FILE_COUNT_MAX = 1 << 30,   /* elements of a tensor */
    FILE_HEADER_MAX = 8 << 20,  /* bytes of a safetensors header */
    FILE_METADATA_MAX = 4 << 20 /* bytes of metadata */
};

enum file_format { FILE_NPZ, FILE_SAFETENSORS, FILE_NPY, N_FILE_FORMATS };
extern const char *const file_format_names[N_FILE_FORMATS + 1];

struct file_tensor {
    char name[FILE_NAME_MAX]; /* "0.weight"; "theta" in a .npy */
    enum dtype dtype;         /* N_DTYPES: none that can be read */
    char dtype_text[16];      /* as the file has it: "<f4", "F32" */
    bool is_fortran;          /* the first index runs fastest: is listed and not read */
    uint32_t n_dims;
    uint64_t shape[FILE_DIMS_MAX];
    uint64_t count;           /* elements; 1 without dimensions */
    uint64_t offset, n_bytes; /* of the elements in the file */
    bool has_crc;
    uint32_t crc, crc_start; /* CRC-32 of all; of what goes before the elements */
};

struct model_file {
    const char *path; /* borrowed */
    int fd;
    uint64_t size;
    enum file_format format;
    struct file_tensor *tensors; /* in the order of the file; owned */
    uint32_t n_tensors;
    json_t *meta; /* an object; NULL where the file has none; owned */
};

/* Reads what the file says of itself, not yet its elements. ERR_DATA names the file, the tensor or
 * offset, and what would be right. f needs model_file_close in any case. */
int model_file_open(struct model_file *f, const char *path, struct error *err) MUST_USE;
void model_file_close(struct model_file *f);

/* Reads theta [m->dim]: exactly the tensors of the model must be there, with their shapes, in any
 * of the dtypes, finite and within f32; from a .npy, dim floats in one row. A checksum in the file
 * and the hash in its metadata must fit. ERR_DATA names file, tensor and index. */
int model_file_read(const struct model_file *f, const struct model *m, float *theta,
                    struct error *err) MUST_USE;

/* Opens, reads and closes. */
int model_file_load(const char *path, const struct model *m, float *theta,
                    struct error *err) MUST_USE;

/* Elements of a tensor, from first to last. */
struct file_cursor {
    const struct model_file *file;
    const struct file_tensor *tensor;
    uint64_t next; /* element */
    uint32_t crc;
};
/* ERR_DATA where the tensor has a dtype or order that is not read. */
int file_cursor_open(struct file_cursor *c, const struct model_file *f, const struct file_tensor *t,
                     struct error *err) MUST_USE;
/* The next n <= max elements; n = 0 at the end, where the checksum has been found right. */
int file_cursor_next(struct file_cursor *c, double *values, uint32_t max, uint32_t *n,
                     struct error *err) MUST_USE;

/* "file: tensor NAME: " and the text. Returns ERR_DATA. */
int file_tensor_error(const struct model_file *f, const struct file_tensor *t, struct error *err,
                      const char *format, ...) PRINTF(4, 5);

/* "(256, 784)", "(10,)": as Python prints it. */
enum { FILE_SHAPE_MAX = 22 * FILE_DIMS_MAX + 4 };
void file_shape_text(char text[FILE_SHAPE_MAX], const uint64_t *shape, uint32_t n_dims);

/* ---- writing ------------------------------------------------------------------------------- */

/* By the ending of the name: .npz or .safetensors. ERR_USAGE names the two. */
int file_format_of(const char *path, enum file_format *format, struct error *err) MUST_USE;

/* Writes PATH.tmp-PID, fsyncs, renames to path: the old file or the new one, never half of one.
 * f32; meta (model/meta.h) gets the hash of the weights. The same model makes the same bytes.
 * ERR_FAILURE with errno in words, ERR_USAGE for an ending that names no format. */
int model_file_write(const char *path, const struct model *m, const float *theta, json_t *meta,
                     struct error *err) MUST_USE;

/* The same in pieces, for any tensors (name, dtype, n_dims, shape and count are looked at): create,
 * put each in its order, then commit or drop. bytes [count * dtype_bytes]. */
struct file_writer {
    struct file_draft draft;
    enum file_format format;
    const struct file_tensor *tensors; /* borrowed until the end, as is meta */
    uint32_t n_tensors, n_put;
    const json_t *meta;    /* NULL: none */
    struct zip_writer zip; /* of an .npz */
};
int file_writer_create(struct file_writer *w, const char *path, const struct file_tensor *tensors,
                       uint32_t n_tensors, const json_t *meta, struct error *err) MUST_USE;
void file_writer_put(struct file_writer *w, const void *bytes);
int file_writer_commit(struct file_writer *w, struct error *err) MUST_USE;
void file_writer_drop(struct file_writer *w);

#endif
