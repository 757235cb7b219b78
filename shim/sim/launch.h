/* What module.c knows of functions, for the functions of launch.c. */
#ifndef WEIR_SIM_LAUNCH_H
#define WEIR_SIM_LAUNCH_H

#include "sim.h"

CUresult module_load(CUmodule *out, const void *image);
CUresult function_attribute(int *value, CUfunction_attribute which, CUfunction f);
CUresult function_name(const char **name, CUfunction f);
CUresult function_module(CUmodule *module, CUfunction f);

#endif
