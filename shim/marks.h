/* Marks in a stream: recording them, seeing which are done, waiting for room. The slot is locked in all of these. */
#ifndef WEIR_MARKS_H
#define WEIR_MARKS_H

#include "queue.h"

/* Records a mark behind what was launched, where all are in use by moving the last; false when the driver will not.
 * The slot's context is current. */
bool marks_put(struct slot *slot);

/* Takes out the marks that are done. The slot's context is current. */
void marks_reap(struct self *self, struct slot *slot);

/* Waits until there is room for a launch. */
void marks_make_room(struct self *self, struct slot *slot);

/* Lets this thread look at events while another captures a stream; `relax` gives what `restore` takes. */
CUstreamCaptureMode marks_relax(struct queue *queue, bool *relaxed);
void marks_restore(CUstreamCaptureMode mode, bool relaxed);

#endif
