/* The thread that takes this process's memory to where the rules say. */
#ifndef WEIR_MOVER_H
#define WEIR_MOVER_H

#include <stdbool.h>

struct self;

bool mover_start(struct self *self);

#endif
