/* Model files: .npz, as numpy writes and reads them (a stored zip of .npy members).
 *
 * One member a tensor, under PyTorch's state_dict name and shape, little-endian f32, C order; and
 * "hubbub.json", a member with text metadata (numpy.load ignores nothing: it shows as bytes).
 * Any thread; nothing is kept.
 */
#ifndef HUBBUB_MODEL_NPZ_H
#define HUBBUB_MODEL_NPZ_H

#include "model/model.h"

/* Writes PATH.tmp-PID, fsyncs, renames to path: the old file or the new one, never half of one.
 * metadata is JSON text. ERR_FAILURE with errno in words. */
int npz_write(const char *path, const struct model *m, const float *theta, const char *metadata,
              struct error *err) MUST_USE;

/* Reads theta [m->dim]: all tensors of the model must be there with their shapes, stored, f32, C
 * order, finite. ERR_DATA names the file, the member and what is wrong. Bounds-checked: any bytes
 * are safe. */
int npz_read(const char *path, const struct model *m, float *theta, struct error *err) MUST_USE;

/* The bytes of one member of any stored npz/zip (here: "hubbub.json"), NUL-terminated, owned by
 * the caller; at most max_bytes. ERR_DATA. */
int npz_member(const char *path, const char *name, uint64_t max_bytes, char **bytes,
               struct error *err) MUST_USE;

#endif
