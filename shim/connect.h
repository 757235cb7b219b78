/* The connection to the agent: finding it, hello, and mapping what it gives. */
#ifndef WEIR_CONNECT_H
#define WEIR_CONNECT_H

#include "self.h"

enum connect_result {
	CONNECT_NONE,	 /* there is no socket */
	CONNECT_SILENT,	 /* there is one, and nobody answers */
	CONNECT_REFUSED, /* the agent does not want this process: text says why */
	CONNECT_WELCOME,
};

struct connection {
	int socket;
	struct pages *pages;
	char text[sizeof((struct weir_message *)0)->text];
};

/* Says hello; `had` is what an agent before gave, or NULL. */
enum connect_result connect_agent(const struct pages *had, struct connection *out);

/* Where the socket is. */
const char *connect_path(void);

#endif
