/* analog.c: from the voltage at a pin to a 12-bit code.
 *
 * The smooth part of a pin (mains behind its front end) comes in samples and is interpolated by the six-point Lagrange
 * polynomial; at 40 points per period of a component its error is about 3e-5 of that component, at 800 below 1e-11.
 * The pulse part (PPS) is a level through an RC and is evaluated in closed form. The converter multiplies by its gain,
 * adds offset, INL and Gaussian noise in LSB, and rounds: code = round(v / (VREF / 4096)), clipped to 0 to 4095.
 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CODES = 4096, VREFN_INPUT = 8, MARGIN = 2 };

/* ---- smooth part ---- */

static double lagrange6(const double *y, double x) /* y[0..5] at -2..3, 0 <= x < 1 */
{
    double a = x + 2, b = x + 1, c = x, d = x - 1, f = x - 2, g = x - 3;
    return -y[0] * b * c * d * f * g / 120 + y[1] * a * c * d * f * g / 24 - y[2] * a * b * d * f * g / 12 +
           y[3] * a * b * c * f * g / 12 - y[4] * a * b * c * d * g / 24 + y[5] * a * b * c * d * f / 120;
}

/* True and `volts` if the segment has three points on either side of `cycle`. */
static bool segment_value(const Segment *segment, double cycle, double *volts)
{
    double position = (cycle - segment->start) / segment->step - (double)segment->first;
    double whole = floor(position);
    if (!(whole >= MARGIN) || !(whole + MARGIN + 1 < (double)segment->count))
        return false;
    *volts = lagrange6(segment->volts + (size_t)whole - MARGIN, position - whole);
    return true;
}

static bool smooth_value(const Input *input, double cycle, double *volts)
{
    for (int k = 0; k < input->segments; k++)
        if (segment_value(&input->segment[k], cycle, volts))
            return true;
    return false;
}

static double segment_end(const Segment *segment)
{
    return segment->start + (double)(segment->first + (int64_t)segment->count) * segment->step;
}

/* Forget what lies more than a margin before `cycle`, the earliest that can still be sampled. */
static void forget(Segment *segment, double cycle)
{
    double position = floor((cycle - segment->start) / segment->step) - (double)segment->first - 2 * MARGIN;
    if (!(position > 0))
        return;
    size_t count = position < (double)segment->count ? (size_t)position : segment->count;
    segment->count -= count;
    segment->first += (int64_t)count;
    memmove(segment->volts, segment->volts + count, segment->count * sizeof *segment->volts);
}

static bool extend(Segment *segment, const double *volts, size_t count)
{
    size_t wanted = segment->count + count;
    if (wanted > segment->capacity) {
        double *larger = realloc(segment->volts, 2 * wanted * sizeof *larger);
        if (larger == NULL)
            return false;
        segment->volts = larger;
        segment->capacity = 2 * wanted;
    }
    if (count)
        memcpy(segment->volts + segment->count, volts, count * sizeof *volts);
    segment->count = wanted;
    return true;
}

/* Make room for one more segment: the oldest goes. */
static Segment *new_segment(Input *input)
{
    if (input->segments == SEGMENTS) {
        free(input->segment[0].volts);
        memmove(&input->segment[0], &input->segment[1], (SEGMENTS - 1) * sizeof input->segment[0]);
        input->segments--;
    }
    Segment *segment = &input->segment[input->segments++];
    memset(segment, 0, sizeof *segment);
    return segment;
}

bool emulator_add_waveform(Emulator *e, int ain, double start_cycle, double step_cycles, const double *volts, size_t count)
{
    Input *input = &e->analog.input[ain];
    Segment *last = input->segments ? &input->segment[input->segments - 1] : NULL;
    if (last != NULL && last->step == step_cycles && fabs(start_cycle - segment_end(last)) < 1e-3 * step_cycles) {
        forget(last, adc_earliest_sample(e));
        return extend(last, volts, count);
    }
    if (last != NULL && start_cycle < last->start + (double)last->first * last->step)
        return false;
    Segment *segment = new_segment(input);
    segment->start = start_cycle;
    segment->step = step_cycles;
    return extend(segment, volts, count);
}

/* ---- pulse part ---- */

static double rc_voltage(const Input *input, double cycle)
{
    if (input->tau <= 0)
        return input->level;
    return input->level + (input->voltage - input->level) * exp(-(cycle - input->since) / input->tau);
}

static double pulse_value(Input *input, double cycle)
{
    Edges *edges = &input->edges;
    while (edges->head < edges->count && edges->time[edges->head] <= cycle) {
        double edge = edges->time[edges->head];
        input->voltage = rc_voltage(input, edge);
        input->since = edge;
        input->tau = input->edge_tau;
        input->level = edges->level[edges->head++];
    }
    return rc_voltage(input, cycle);
}

bool emulator_add_pulses(Emulator *e, int ain, const double *edge_cycles, const double *levels_v, size_t count,
                         double tau_cycles)
{
    Input *input = &e->analog.input[ain];
    if (!edges_append(&input->edges, edge_cycles, levels_v, count, input->sampled))
        return false;
    input->has_pulses = true;
    input->edge_tau = tau_cycles;
    return true;
}

/* ---- conversion ---- */

static double inl_at(const Analog *analog, double code)
{
    if (analog->inl_count == 0)
        return 0;
    double position = fmin(fmax(code, 0), CODES - 1) / (CODES - 1) * (double)(analog->inl_count - 1);
    size_t k = (size_t)position;
    if (k + 1 >= analog->inl_count)
        return analog->inl[analog->inl_count - 1];
    return analog->inl[k] + (position - (double)k) * (analog->inl[k + 1] - analog->inl[k]);
}

static uint32_t quantise(Analog *analog, double volts)
{
    const AdcErrors *errors = &analog->errors;
    double code = volts * errors->gain / errors->vref_v * CODES + errors->offset_lsb;
    code += inl_at(analog, code);
    if (errors->noise_lsb_rms > 0)
        code += errors->noise_lsb_rms * random_gaussian(&analog->noise);
    return (uint32_t)fmin(fmax(floor(code + 0.5), 0), CODES - 1);
}

static void explain(Emulator *e, const Input *input, uint32_t ain, double cycle)
{
    if (input->segments == 0) {
        fault_set(e, FAULT_ANALOG, 0, "AIN%u was sampled at cycle %.1f, but neither a waveform nor pulses were supplied for it",
                  ain, cycle);
        return;
    }
    const Segment *first = &input->segment[0], *last = &input->segment[input->segments - 1];
    fault_set(e, FAULT_ANALOG, 0,
              "AIN%u was sampled at cycle %.1f, outside the waveform supplied, cycles %.1f to %.1f less %d points at each end",
              ain, cycle, first->start + (double)first->first * first->step, segment_end(last) - last->step, MARGIN);
}

uint32_t analog_convert(Emulator *e, uint32_t ain, uint64_t tick)
{
    double cycle = (double)tick / TICKS_PER_CYCLE, volts = 0;
    if (ain == VREFN_INPUT)
        return quantise(&e->analog, 0);
    Input *input = &e->analog.input[ain];
    bool nothing = input->segments == 0 && !input->has_pulses;
    if (nothing || (input->segments > 0 && !smooth_value(input, cycle, &volts))) {
        explain(e, input, ain, cycle);
        return 0;
    }
    if (input->has_pulses)
        volts += pulse_value(input, cycle);
    input->sampled = cycle;
    return quantise(&e->analog, volts);
}

void analog_free(Analog *analog)
{
    for (int ain = 0; ain < 8; ain++) {
        for (int k = 0; k < analog->input[ain].segments; k++)
            free(analog->input[ain].segment[k].volts);
        edges_free(&analog->input[ain].edges);
    }
    free(analog->inl);
}
