/* The rows, a table a file. Each row is run in a process of its own, over each transport that has
 * what it needs. */
#ifndef CONTRACT_ROWS_H
#define CONTRACT_ROWS_H

struct contract;

enum contract_setup {
    CONTRACT_DEBUG_MODE = 1 << 0, /* event_enable_debug_mode() before anything else */
    CONTRACT_THREADS = 1 << 1,    /* evthread_use_pthreads() before anything else */
    CONTRACT_PRIORITIES = 1 << 2, /* the base has three priorities */
};

struct contract_row {
    const char *name;
    void (*run)(struct contract *);
    unsigned needs;  /* traits of the transport */
    unsigned setup;  /* enum contract_setup */
    int bev_options; /* added to BEV_OPT_CLOSE_ON_FREE wherever the row makes a bufferevent */
    double seconds;  /* the row's limit; 0: the usual one */
};

/* Each ends with a NULL name. */
extern const struct contract_row contract_rows_write[];
extern const struct contract_row contract_rows_buffers[];
extern const struct contract_row contract_rows_pressure[];
extern const struct contract_row contract_rows_read[];
extern const struct contract_row contract_rows_end[];
extern const struct contract_row contract_rows_free[];
extern const struct contract_row contract_rows_life[];
extern const struct contract_row contract_rows_loop[];
extern const struct contract_row contract_rows_timers[];
extern const struct contract_row contract_rows_connect[];
extern const struct contract_row contract_rows_names[];
extern const struct contract_row contract_rows_setfd[];
extern const struct contract_row contract_rows_limits[];
extern const struct contract_row contract_rows_threads[];
extern const struct contract_row contract_rows_evhttp[];
extern const struct contract_row contract_rows_http_bodies[];
extern const struct contract_row contract_rows_http_ends[];

#endif
