// <math.h>: one line for each function and argument, the result as bits: the runner allows the last
// places to differ where no library is exact (`math.NAME: ...`), and nothing else.
#include <fenv.h>
#include <math.h>

#include "suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const double arguments[] = {
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    3.0,
    10.0,
    0.1,
    1e-10,
    -1e-10,
    1e10,
    123.456,
    -7.75,
    1e300,
    1e-300,
    4.9e-324,
    0.99999,
    1.00001,
    0.7853981633974483,
    1.5707963267948966,
    3.141592653589793,
    1e6,
    22.0,
    709.5,
    -745.0,
    1e16,
    0.25,
    36.0,
};

typedef double (*function_t)(double);

static void one(const char* name, function_t f) {
    for (size_t i = 0; i < COUNT(arguments); i++) {
        printf("math.%s:", name);
        show_double(arguments[i]);
        show_double(f(arguments[i]));
        end_case();
    }
    static const double special[] = {INFINITY, -INFINITY};
    for (size_t i = 0; i < COUNT(special); i++) {
        printf("math.%s:", name);
        show_double(special[i]);
        show_double(f(special[i]));
        end_case();
    }
    for (int i = 0; i < 20; i++) {
        double x = (double)(int64_t)next_random() / 9.2e18 * (i < 10 ? 1 : 50);
        printf("math.%s:", name);
        show_double(x);
        show_double(f(x));
        end_case();
    }
}

typedef double (*function2_t)(double, double);

static void two(const char* name, function2_t f) {
    for (size_t i = 0; i < COUNT(arguments); i += 1) {
        for (size_t j = i % 3; j < COUNT(arguments); j += 3) {
            printf("math.%s:", name);
            show_double(arguments[i]);
            show_double(arguments[j]);
            show_double(f(arguments[i], arguments[j]));
            end_case();
        }
    }
}

static void classes(void) {
    begin_group("exact");
    for (size_t i = 0; i < COUNT(arguments); i++) {
        double x = arguments[i];
        begin_case();
        int exponent;
        show_double(frexp(x, &exponent));
        show(exponent);
        double whole;
        show_double(modf(x, &whole));
        show_double(whole);
        show(ilogb(x == 0 ? 1 : x));
        show_double(logb(x == 0 ? 1 : x));
        show_double(ldexp(x, 5));
        show_double(scalbn(x, -1060));
        show_double(nextafter(x, 1e9));
        show(fpclassify(x) == FP_ZERO);
        show(fpclassify(x) == FP_SUBNORMAL);
        show(!!signbit(x));
        show_double(copysign(3, x));
        if (fabs(x) < 1e15) {
            show(lrint(x));
            show(llround(x));
        }
        end_case();
    }
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t m = 0; m < COUNT(modes); m++) {
        fesetround(modes[m]);
        begin_case();
        for (size_t i = 0; i < COUNT(arguments); i++) {
            volatile double x = arguments[i];
            show_double(rint(x));
            show_double(nearbyint(x));
        }
        end_case();
    }
    fesetround(FE_TONEAREST);
    begin_case();
    feclearexcept(FE_ALL_EXCEPT);
    volatile double zero = 0;
    volatile double result = 1 / zero;
    show(!!fetestexcept(FE_DIVBYZERO));
    result = sqrt(-1 - zero);
    show(!!fetestexcept(FE_INVALID));
    (void)result;
    int q;
    show_double(remquo(17.0, 5.0, &q));
    show(q & 7);
    show_double(fma(1e16, 1e16, -1e32));
    show_double(fma(0.1, 10, -1));
    end_case();
}

int main(void) {
    one("sqrt", sqrt);
    one("floor", floor);
    one("ceil", ceil);
    one("trunc", trunc);
    one("round", round);
    one("fabs", fabs);
    one("cbrt", cbrt);
    one("exp", exp);
    one("exp2", exp2);
    one("expm1", expm1);
    one("log", log);
    one("log2", log2);
    one("log10", log10);
    one("log1p", log1p);
    one("sin", sin);
    one("cos", cos);
    one("tan", tan);
    one("asin", asin);
    one("acos", acos);
    one("atan", atan);
    one("sinh", sinh);
    one("cosh", cosh);
    one("tanh", tanh);
    one("asinh", asinh);
    one("acosh", acosh);
    one("atanh", atanh);
    one("erf", erf);
    one("erfc", erfc);
    one("tgamma", tgamma);
    one("lgamma", lgamma);
    two("pow", pow);
    two("fmod", fmod);
    two("remainder", remainder);
    two("hypot", hypot);
    two("atan2", atan2);
    two("fdim", fdim);
    two("fmin", fmin);
    two("fmax", fmax);
    classes();
    return 0;
}
