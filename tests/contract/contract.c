/*
 * The contract suite: what programs written for libevent rely on, run over each transport.
 *
 * Rows that a transport must pass are one Check run, and failures there are failures. Rows that it
 * is known to fail are run afterwards, with less patience, only to be measured: whichever way they
 * end is reported and nothing more.
 */
#include "rows.h"
#include "world.h"

#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_ROWS 512

enum outcome { NOT_APPLICABLE, NOT_RUN, PASSED, FAILED, KNOWN, PASSES_HERE };

static const struct contract_transport *const transports[] = {
    &contract_transport_socket,
#ifdef CONTRACT_OPENSSL
    &contract_transport_openssl,
#endif
    &contract_transport_evtls,      &contract_transport_filter,
    &contract_transport_filter_tls, &contract_transport_plain,
};
#define N_TRANSPORTS (sizeof(transports) / sizeof(transports[0]))

static const struct contract_row *const tables[] = {
    contract_rows_write,       contract_rows_buffers,   contract_rows_pressure,
    contract_rows_read,        contract_rows_end,       contract_rows_free,
    contract_rows_life,        contract_rows_loop,      contract_rows_timers,
    contract_rows_connect,     contract_rows_names,     contract_rows_setfd,
    contract_rows_limits,      contract_rows_threads,   contract_rows_evhttp,
    contract_rows_http_bodies, contract_rows_http_ends,
};

/* Rows that are run once more in libevent's debug mode, which aborts where an event is misused. */
#define DEBUG_PREFIX "debug__"
static const char *const debug_mode[] = {
    "write__free_when_empty_slow_reader",
    "pressure__proxy_both_ways",
    "read__high_watermark_drained_outside_a_callback",
    "end__behind_a_full_input",
    "free__itself_in_the_read_callback",
    "free__itself_when_connected",
    "free__while_a_deferred_callback_waits",
    "free__while_connecting",
    "life__incref_outlives_free",
    "loop__base_freed_right_after",
    "timers__read_is_not_the_end",
    "timers__write_is_not_the_end",
    "connect__write_before",
    "connect__refused",
    "names__by_resolver",
    "names__freed_during_lookup",
    "setfd__reconnect_after_the_end",
    "setfd__given_later",
    "limits__write_rate",
    "limits__priority",
    "threads__idioms_unlocked",
    "http__keep_alive",
    "http__client_reconnects",
    "http__server_freed_with_connections",
};

static const struct contract_row *rows[MAX_ROWS];
static struct contract_row debug_rows[sizeof(debug_mode) / sizeof(debug_mode[0])];
static char debug_names[sizeof(debug_mode) / sizeof(debug_mode[0])][96];
static size_t n_rows;
static enum outcome outcomes[N_TRANSPORTS][MAX_ROWS];
static char *messages[N_TRANSPORTS][MAX_ROWS];
static char case_names[N_TRANSPORTS][MAX_ROWS][112]; /* Check keeps the pointers */

static const struct contract_known *known_failure(size_t t, size_t r)
{
    const struct contract_known *k = transports[t]->known;
    const char *name = rows[r]->name;
    if (strncmp(name, DEBUG_PREFIX, strlen(DEBUG_PREFIX)) == 0)
        name += strlen(DEBUG_PREFIX); /* known there is known here */
    for (; k != NULL && k->row != NULL; k++)
        if (strcmp(k->row, name) == 0)
            return k;
    return NULL;
}

/* One Check test a row and transport: the loop index of Check says which. */
START_TEST(run_row)
{
    struct contract *c = calloc(1, sizeof(*c));
    ck_assert_ptr_nonnull(c);
    const struct contract_known *known =
        known_failure((size_t)_i / MAX_ROWS, (size_t)_i % MAX_ROWS);
    if (known != NULL)
        contract_patience_s = known->varies ? 5 : 0.7;
    contract_begin(c, transports[(size_t)_i / MAX_ROWS], rows[(size_t)_i % MAX_ROWS]);
    c->row->run(c);
    contract_finish(c);
    free(c);
}
END_TEST

static void add_row(Suite *suite, size_t t, size_t r, double seconds)
{
    char *name = case_names[t][r];
    int i = (int)(t * MAX_ROWS + r);
    snprintf(name, sizeof(case_names[t][r]), "%s/%s", transports[t]->name, rows[r]->name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, seconds);
    tcase_add_loop_test(tcase, run_row, i, i + 1);
    suite_add_tcase(suite, tcase);
}

static void note_result(TestResult *result, int measured)
{
    const char *name = tr_tcname(result);
    const char *slash = strchr(name, '/');
    for (size_t t = 0; t < N_TRANSPORTS; t++) {
        if (strlen(transports[t]->name) != (size_t)(slash - name) ||
            strncmp(transports[t]->name, name, (size_t)(slash - name)) != 0)
            continue;
        for (size_t r = 0; r < n_rows; r++) {
            if (strcmp(rows[r]->name, slash + 1) != 0)
                continue;
            int passed = tr_rtype(result) == CK_PASS;
            outcomes[t][r] = measured ? (passed ? PASSES_HERE : KNOWN) : (passed ? PASSED : FAILED);
            messages[t][r] = strdup(tr_msg(result));
        }
    }
}

/* Returns the number of failures. */
static int run_suite(Suite *suite, int measured, enum print_output mode)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, mode);
    int n = srunner_ntests_run(runner);
    TestResult **results = srunner_results(runner);
    for (int i = 0; i < n; i++)
        note_result(results[i], measured);
    free(results);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}

static int run_all(enum print_output mode)
{
    Suite *must = suite_create("contract");
    Suite *known = suite_create("contract: known failures");
    for (size_t t = 0; t < N_TRANSPORTS; t++) {
        for (size_t r = 0; r < n_rows; r++) {
            if (outcomes[t][r] != NOT_RUN)
                continue;
            double seconds = rows[r]->seconds > 0 ? rows[r]->seconds : 30;
            if (known_failure(t, r) == NULL)
                add_row(must, t, r, seconds);
            else
                add_row(known, t, r, seconds / 3);
        }
    }
    int failed = run_suite(must, 0, mode);
    /* These are not test cases: they leave no trace in Check's logs. */
    unsetenv("CK_TAP_LOG_FILE_NAME");
    unsetenv("CK_XML_LOG_FILE_NAME");
    unsetenv("CK_LOG_FILE_NAME");
    run_suite(known, 1, CK_SILENT);
    return failed;
}

/* --- selection and output --- */

static void add_debug_row(size_t i)
{
    for (size_t r = 0; r < n_rows; r++) {
        if (strcmp(rows[r]->name, debug_mode[i]) != 0)
            continue;
        debug_rows[i] = *rows[r];
        snprintf(debug_names[i], sizeof(debug_names[i]), DEBUG_PREFIX "%s", debug_mode[i]);
        debug_rows[i].name = debug_names[i];
        debug_rows[i].setup |= CONTRACT_DEBUG_MODE;
        rows[n_rows++] = &debug_rows[i];
        return;
    }
    fprintf(stderr, "contract: there is no row %s\n", debug_mode[i]);
    exit(1);
}

static void collect_rows(void)
{
    size_t n_debug = sizeof(debug_mode) / sizeof(debug_mode[0]);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct contract_row *row = tables[i]; row->name != NULL; row++)
            if (n_rows < MAX_ROWS - n_debug)
                rows[n_rows++] = row;
    for (size_t i = 0; i < n_debug; i++)
        add_debug_row(i);
}

/* Returns whether the transport is one of ours. */
static int select_rows(const char *transport, const char *pattern)
{
    int found = 0;
    for (size_t t = 0; t < N_TRANSPORTS; t++) {
        if (transport != NULL && strcmp(transport, transports[t]->name) != 0)
            continue;
        found = 1;
        for (size_t r = 0; r < n_rows; r++) {
            int applies = (rows[r]->needs & ~transports[t]->traits) == 0;
            if (applies && (pattern == NULL || fnmatch(pattern, rows[r]->name, 0) == 0))
                outcomes[t][r] = NOT_RUN;
        }
    }
    return found;
}

static void print_table(void)
{
    static const char *const words[] = {
        [NOT_APPLICABLE] = "-", [NOT_RUN] = "not run",     [PASSED] = "ok",
        [FAILED] = "FAIL",      [KNOWN] = "known failure", [PASSES_HERE] = "ok (listed)",
    };
    printf("%-56s", "");
    for (size_t t = 0; t < N_TRANSPORTS; t++)
        printf(" %-14s", transports[t]->name);
    printf("\n");
    for (size_t r = 0; r < n_rows; r++) {
        printf("%-56s", rows[r]->name);
        for (size_t t = 0; t < N_TRANSPORTS; t++)
            printf(" %-14s", words[outcomes[t][r]]);
        printf("\n");
    }
}

static void print_counts(int verbose)
{
    for (size_t t = 0; t < N_TRANSPORTS; t++) {
        size_t n[PASSES_HERE + 1] = {0};
        for (size_t r = 0; r < n_rows; r++)
            n[outcomes[t][r]]++;
        if (n[NOT_APPLICABLE] == n_rows)
            continue;
        printf("%s: %zu passed, %zu failed, %zu known failures, %zu listed as such but passed, %zu "
               "not applicable or chosen\n",
               transports[t]->name, n[PASSED], n[FAILED], n[KNOWN], n[PASSES_HERE],
               n[NOT_APPLICABLE]);
        for (size_t r = 0; r < n_rows; r++)
            if (verbose && (outcomes[t][r] == KNOWN || outcomes[t][r] == PASSES_HERE))
                printf("  %s %s: %s [%s]\n",
                       outcomes[t][r] == KNOWN ? "known failure" : "passes here", rows[r]->name,
                       known_failure(t, r)->reason, messages[t][r]);
    }
}

static int usage(FILE *to, int status)
{
    fprintf(to, "usage: contract [--transport NAME] [--row PATTERN] [--table]\n"
                "  --transport NAME  only this one:");
    for (size_t t = 0; t < N_TRANSPORTS; t++)
        fprintf(to, " %s", transports[t]->name);
    fprintf(to, "\n  --row PATTERN     only rows whose name matches, for example 'write__*'\n"
                "  --table           print rows by transports\n"
                "Exit status: 0, 1 when a row failed, 77 when the build has no such transport.\n"
                "CK_FORK=no keeps a row in this process, for a debugger; CONTRACT_VERBOSE=1 shows "
                "libevent's warnings.\n");
    return status;
}

int main(int argc, char **argv)
{
    const char *transport = NULL, *pattern = NULL;
    int table = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--transport") == 0 && i + 1 < argc)
            transport = argv[++i];
        else if (strcmp(argv[i], "--row") == 0 && i + 1 < argc)
            pattern = argv[++i];
        else if (strcmp(argv[i], "--table") == 0)
            table = 1;
        else
            return usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr,
                         strcmp(argv[i], "--help") == 0 ? 0 : 2);
    }
    collect_rows();
    if (!select_rows(transport, pattern)) {
        fprintf(stderr, "contract: no transport %s in this build\n", transport);
        return 77;
    }
    signal(SIGPIPE, SIG_IGN); /* as programs that write to sockets do */
    contract_pattern_init();
    for (size_t t = 0; t < N_TRANSPORTS; t++) {
        if (transports[t]->set_up != NULL && transports[t]->set_up() != 0) {
            fprintf(stderr, "contract: the transport %s cannot be set up\n", transports[t]->name);
            return 1;
        }
    }
    int failed = run_all(table ? CK_SILENT : CK_NORMAL);
    if (table)
        print_table();
    print_counts(!table || failed > 0);
    return failed == 0 ? 0 : 1;
}
