/* Captures: what is submitted to a stream goes into a graph instead. Streams join through events. */
#include "graph.h"

#include <stdlib.h>

struct capture {
	struct capture *next;
	struct graph *graph;
	struct stream *origin;
	uint64_t id;
	CUstreamCaptureMode mode;
	pthread_t thread;
	bool spoilt;
};

static struct capture *captures;
static _Thread_local CUstreamCaptureMode own_mode;

bool capture_forbids(void)
{
	bool forbidden = false;
	for (struct capture *c = captures; c; c = c->next) {
		bool own = pthread_equal(c->thread, pthread_self());
		if (own_mode != CU_STREAM_CAPTURE_MODE_RELAXED && c->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
		    (own || (own_mode == CU_STREAM_CAPTURE_MODE_GLOBAL && c->mode == CU_STREAM_CAPTURE_MODE_GLOBAL)))
			forbidden = c->spoilt = true;
	}
	return forbidden;
}

bool capturing(const struct stream *s)
{
	return s->capture != NULL;
}

uint64_t capture_id(const struct stream *s)
{
	return s->capture ? s->capture->id : 0;
}

CUresult capture_add(struct capture *c, const struct op *op)
{
	if (c->spoilt)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	return graph_add(c->graph, op) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult capture_alloc(struct stream *s, uint64_t bytes, uint64_t *address)
{
	struct op op = { .kind = OP_ALLOC, .memory = graph_memory_new(s->ctx->device, bytes, address) };
	if (!op.memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = capture_add(s->capture, &op);
	graph_memory_let_go(op.memory);
	return r;
}

void capture_spoil(struct stream *s)
{
	s->capture->spoilt = true;
}

CUresult capture_enter(struct stream *s, uint64_t id)
{
	struct capture *c = captures;
	while (c && c->id != id)
		c = c->next;
	if (!c)
		return CUDA_ERROR_INVALID_VALUE; /* the event's capture has ended */
	if (s->capture && s->capture != c)
		return CUDA_ERROR_STREAM_CAPTURE_MERGE;
	if (s == s->ctx->legacy)
		return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
	s->capture = c;
	return CUDA_SUCCESS;
}

/* Ends a capture for all streams that take part in it. */
static void end_capture(struct capture *c, const struct ctx *ctx)
{
	struct capture **p = &captures;
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	for (struct stream *s = ctx->streams; s; s = s->next)
		if (s->capture == c)
			s->capture = NULL;
	free(c);
}

void capture_leave(struct stream *s)
{
	struct capture *c = s->capture;
	s->capture = NULL;
	if (c->origin != s) {
		c->spoilt = true;
		return;
	}
	graph_free(c->graph);
	end_capture(c, s->ctx);
}

static CUresult begin(CUstream handle, CUstreamCaptureMode mode)
{
	static uint64_t id;
	struct stream *s;
	CUresult r = stream_find(handle, &s);
	if (r)
		return r;
	if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	if (s == s->ctx->legacy)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	if (s->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	struct capture *c = calloc(1, sizeof *c);
	struct graph *g = graph_new();
	if (!c || !g) {
		free(c);
		if (g)
			graph_free(g);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*c = (struct capture){ .next = captures, .graph = g, .origin = s, .id = ++id, .mode = mode,
			       .thread = pthread_self() };
	captures = c;
	s->capture = c;
	return CUDA_SUCCESS;
}

static CUresult end(CUstream handle, CUgraph *out)
{
	struct stream *s;
	CUresult r = stream_find(handle, &s);
	if (r || !out)
		return r ? r : CUDA_ERROR_INVALID_VALUE;
	if (!s->capture)
		return CUDA_ERROR_ILLEGAL_STATE;
	if (s->capture->origin != s)
		return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
	bool spoilt = s->capture->spoilt;
	*out = spoilt ? NULL : (CUgraph)s->capture->graph;
	if (spoilt)
		graph_free(s->capture->graph);
	end_capture(s->capture, s->ctx);
	return spoilt ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
}

static CUstreamCaptureStatus status_of(const struct stream *s)
{
	if (!s->capture)
		return CU_STREAM_CAPTURE_STATUS_NONE;
	return s->capture->spoilt ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

static CUresult info(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
		     const CUgraphNode **dependencies, size_t *count)
{
	struct stream *s;
	CUresult r = stream_find(handle, &s);
	if (r || !status)
		return r ? r : CUDA_ERROR_INVALID_VALUE;
	*status = status_of(s);
	if (*status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
		return CUDA_SUCCESS;
	const struct graph *g = s->capture->graph;
	if (id)
		*id = s->capture->id;
	if (graph)
		*graph = (CUgraph)s->capture->graph;
	if (dependencies) /* all is in one line: what comes next depends on the last */
		*dependencies = g->count ? (const CUgraphNode *)(g->nodes + g->count - 1) : NULL;
	if (count)
		*count = g->count ? 1 : 0;
	return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture(CUstream s)
{
	ENTER(begin(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
}

CUresult cuStreamBeginCapture_v2(CUstream s, CUstreamCaptureMode mode)
{
	ENTER(begin(s, mode));
}

CUresult cuStreamEndCapture(CUstream s, CUgraph *out)
{
	ENTER(end(s, out));
}

CUresult cuStreamIsCapturing(CUstream s, CUstreamCaptureStatus *status)
{
	ENTER(info(s, status, NULL, NULL, NULL, NULL));
}

CUresult cuStreamGetCaptureInfo(CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id)
{
	ENTER(info(s, status, id, NULL, NULL, NULL));
}

CUresult cuStreamGetCaptureInfo_v2(CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
				   const CUgraphNode **dependencies, size_t *count)
{
	ENTER(info(s, status, id, graph, dependencies, count));
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	CUstreamCaptureMode before = own_mode;
	own_mode = *mode;
	*mode = before;
	return CUDA_SUCCESS;
}
