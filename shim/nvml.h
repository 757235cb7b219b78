/* What the parts of NVML's shadow share. */
#ifndef WEIR_NVML_H
#define WEIR_NVML_H

/* A function of the real library; NULL if it has none of this name. */
void *nvml_real(const char *name);

#endif
