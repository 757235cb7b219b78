/* The kernel of the programs here. */
#ifndef SPIN_H
#define SPIN_H

/* Spins until so many nanoseconds have passed. A real driver compiles it; the simulated one knows the name. */
static const char program[] = ".version 6.0\n"
			      ".target sm_50\n"
			      ".address_size 64\n"
			      ".visible .entry spin(.param .u64 length)\n"
			      "{\n"
			      "	.reg .u64 %t<3>;\n"
			      "	.reg .pred %more;\n"
			      "	ld.param.u64 %t0, [length];\n"
			      "	mov.u64 %t1, %globaltimer;\n"
			      "	add.u64 %t1, %t1, %t0;\n"
			      "AGAIN:\n"
			      "	mov.u64 %t2, %globaltimer;\n"
			      "	setp.lt.u64 %more, %t2, %t1;\n"
			      "	@%more bra AGAIN;\n"
			      "	ret;\n"
			      "}\n";

#endif
