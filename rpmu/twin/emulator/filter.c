/* The recursion of the simulated front end: a rational filter over a run of samples.
 *
 * Direct form II transposed, whose few state words stay in registers. It is here because a Python loop over 200 000
 * samples a second would not do, and so that the twin runs where there is no scipy: on the target itself. */

#include "emulator.h"

void emulator_filter(const double *b, const double *a, size_t taps, double *state, const double *x, double *y,
                     size_t count)
{
    for (size_t n = 0; n < count; n++) {
        double in = x[n], out = b[0] * in + state[0];
        for (size_t k = 1; k + 1 < taps; k++)
            state[k - 1] = state[k] + b[k] * in - a[k] * out;
        state[taps - 2] = b[taps - 1] * in - a[taps - 1] * out;
        y[n] = out;
    }
}
