/* What the formats of model files share. Not for other rooms. */
#ifndef HUBBUB_MODEL_FILE_INNER_H
#define HUBBUB_MODEL_FILE_INNER_H

#include "model/file.h"

/* The file is open and its size known. Fill tensors and meta. */
int npz_open(struct model_file *f, struct error *err) MUST_USE;
int npy_open(struct model_file *f, struct error *err) MUST_USE;
int safetensors_open(struct model_file *f, struct error *err) MUST_USE;

/* Writing goes to w->draft.out, whose errors are asked for at the end. */
void npz_put(struct file_writer *w, const struct file_tensor *t, const void *bytes);
void npz_end(struct file_writer *w);
int safetensors_begin(struct file_writer *w, struct error *err) MUST_USE;

/* Adds to w->draft.out. */
void file_emit(struct file_writer *w, const void *bytes, size_t n);

/* The header of an .npy of `size` bytes at `offset`: dtype, order and shape of the tensor, and
 * where its elements lie. ERR_DATA. */
int npy_read_header(const struct model_file *f, struct file_tensor *t, uint64_t offset,
                    uint64_t size, struct error *err) MUST_USE;
/* That header for a tensor; returns its length. */
enum { NPY_READ_MAX = 4096, NPY_WRITTEN_MAX = 384 };
size_t npy_write_header(const struct file_tensor *t, uint8_t header[NPY_WRITTEN_MAX]);

/* A new tensor at the end of the list, its name checked and copied. NULL with ERR_DATA. */
struct file_tensor *file_add_tensor(struct model_file *f, const char *name, size_t length,
                                    struct error *err) MUST_USE;
/* n_dims and shape are set: fills count. ERR_DATA where it is above FILE_COUNT_MAX. */
int file_count(const struct model_file *f, struct file_tensor *t, struct error *err) MUST_USE;
/* Takes the metadata's text. ERR_DATA where it is no JSON object. */
int file_take_meta(struct model_file *f, const char *text, size_t n, struct error *err) MUST_USE;

static inline uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

#endif
