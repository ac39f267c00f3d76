/* edges.c: sequences of (time, level) that the host appends to and the model consumes from the front. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static void drop_consumed(Edges *edges)
{
    if (edges->head == 0)
        return;
    edges->count -= edges->head;
    memmove(edges->time, edges->time + edges->head, edges->count * sizeof *edges->time);
    memmove(edges->level, edges->level + edges->head, edges->count * sizeof *edges->level);
    edges->head = 0;
}

static bool reserve(Edges *edges, size_t wanted)
{
    if (wanted <= edges->capacity)
        return true;
    size_t capacity = wanted * 2;
    double *time = realloc(edges->time, capacity * sizeof *time);
    if (time != NULL)
        edges->time = time;
    double *level = realloc(edges->level, capacity * sizeof *level);
    if (level != NULL)
        edges->level = level;
    if (time == NULL || level == NULL)
        return false;
    edges->capacity = capacity;
    return true;
}

bool edges_append(Edges *edges, const double *time, const double *level, size_t count, double earliest)
{
    double last = edges->count > edges->head ? edges->time[edges->count - 1] : earliest;
    for (size_t k = 0; k < count; k++) {
        if (!(time[k] >= last))
            return false;
        last = time[k];
    }
    drop_consumed(edges);
    if (!reserve(edges, edges->count + count))
        return false;
    if (count) {
        memcpy(edges->time + edges->count, time, count * sizeof *time);
        memcpy(edges->level + edges->count, level, count * sizeof *level);
    }
    edges->count += count;
    return true;
}

void edges_free(Edges *edges)
{
    free(edges->time);
    free(edges->level);
    memset(edges, 0, sizeof *edges);
}
