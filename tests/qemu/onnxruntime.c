/* Runs a model with onnxruntime so often, on one thread, for the instructions to be counted:
 *
 *     onnxruntime FILE.onnx WIDTH HEIGHT RUNS
 *
 * The model takes u8 [1, 1, HEIGHT, WIDTH]. onnxruntime's header comes in none of its packages, so
 * the few functions of its C interface are declared here, by their place in its table, which never
 * changes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void *function(void);
struct interface { function *functions[256]; };
struct base { const struct interface *(*get)(uint32_t version); };
const struct base *OrtGetApiBase(void);

enum {
    ERROR_MESSAGE = 2,
    CREATE_ENVIRONMENT = 3,
    DISABLE_TELEMETRY = 6,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_OPTIONS = 10,
    SET_THREADS_INSIDE = 24,
    SET_THREADS_BETWEEN = 25,
    INPUT_NAME = 36,
    OUTPUT_NAME = 37,
    CREATE_TENSOR = 49,
    CREATE_MEMORY = 69,
    ALLOCATOR = 78,
    RELEASE_VALUE = 96,
};
/* Values of its enumerations. */
enum { VERSION = 16, ERRORS = 3, DEVICE_ALLOCATOR = 0, DEFAULT_MEMORY = 0, U8 = 2 };

static const struct interface *ort;

#define CALL(index, types) ((void *(*)types)(void *)ort->functions[index])

static void check(void *status) {
    if (!status) return;
    const char *(*message)(void *) = (const char *(*)(void *))(void *)ort->functions[ERROR_MESSAGE];
    fprintf(stderr, "onnxruntime: %s\n", message(status));
    exit(1);
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    int64_t shape[4] = {1, 1, atoi(arguments[3]), atoi(arguments[2])};
    size_t area = (size_t)shape[2] * (size_t)shape[3];
    uint8_t *image = malloc(area);
    if (!image || !(ort = OrtGetApiBase()->get(VERSION))) return 1;
    for (size_t n = 0; n < area; n++) image[n] = (uint8_t)(n * n / 7 + n % 13);

    void *environment, *options, *session, *memory, *input, *allocator;
    char *in, *out;
    check(CALL(CREATE_ENVIRONMENT, (int, const char *, void **))(ERRORS, "count", &environment));
    check(CALL(DISABLE_TELEMETRY, (void *))(environment));
    check(CALL(CREATE_OPTIONS, (void **))(&options));
    check(CALL(SET_THREADS_INSIDE, (void *, int))(options, 1));
    check(CALL(SET_THREADS_BETWEEN, (void *, int))(options, 1));
    check(CALL(CREATE_SESSION, (void *, const char *, void *, void **))(environment, arguments[1],
                                                                        options, &session));
    check(CALL(ALLOCATOR, (void **))(&allocator));
    check(CALL(INPUT_NAME, (void *, size_t, void *, char **))(session, 0, allocator, &in));
    check(CALL(OUTPUT_NAME, (void *, size_t, void *, char **))(session, 0, allocator, &out));
    check(CALL(CREATE_MEMORY, (int, int, void **))(DEVICE_ALLOCATOR, DEFAULT_MEMORY, &memory));
    check(CALL(CREATE_TENSOR, (void *, void *, size_t, const int64_t *, size_t, int, void **))(
        memory, image, area, shape, 4, U8, &input));
    for (int run = atoi(arguments[4]); run > 0; run--) {
        void *output = NULL;
        check(CALL(RUN, (void *, void *, char **, void **, size_t, char **, size_t, void **))(
            session, NULL, &in, &input, 1, &out, 1, &output));
        CALL(RELEASE_VALUE, (void *))(output);
    }
    return 0;
}
