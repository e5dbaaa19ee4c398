/* SPDX-License-Identifier: BSD-3-Clause */
#include "tmpdir.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "require.h"

struct tmpdir {
    char *root;
    char **paths;
    size_t n_paths;
    pid_t owner;
    struct tmpdir *next;
};

/* Those alive in this process, for the removal at exit(). */
static struct tmpdir *live;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* A test may have taken permissions away from a directory inside. */
static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_D || type == FTW_DNR)
        return chmod(path, (st->st_mode & 07777) | S_IRWXU);
    return 0;
}

static void remove_tree(const char *root)
{
    nftw(root, open_up, 16, FTW_PHYS);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_all(void)
{
    for (struct tmpdir *dir = live; dir != NULL; dir = dir->next) {
        if (dir->owner == getpid())
            remove_tree(dir->root);
    }
}

struct tmpdir *tmpdir_new(void)
{
    static bool registered;
    const char *parent = getenv("TMPDIR");
    struct tmpdir *dir = calloc(1, sizeof *dir);

    support_require(dir != NULL);
    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    support_require(asprintf(&dir->root, "%s/evtls-test-XXXXXX", parent) > 0);
    support_require(mkdtemp(dir->root) != NULL);
    dir->owner = getpid();
    dir->next = live;
    live = dir;
    if (!registered)
        registered = atexit(remove_all) == 0;
    return dir;
}

void tmpdir_free(struct tmpdir *dir)
{
    struct tmpdir **link = &live;

    if (dir == NULL)
        return;
    if (dir->owner == getpid())
        remove_tree(dir->root);
    while (*link != dir)
        link = &(*link)->next;
    *link = dir->next;
    for (size_t i = 0; i < dir->n_paths; i++)
        free(dir->paths[i]);
    free(dir->paths);
    free(dir->root);
    free(dir);
}

const char *tmpdir_root(const struct tmpdir *dir)
{
    return dir->root;
}

const char *tmpdir_path(struct tmpdir *dir, const char *name)
{
    char *path;
    char **paths = realloc(dir->paths, (dir->n_paths + 1) * sizeof *paths);

    support_require(paths != NULL);
    support_require(asprintf(&path, "%s/%s", dir->root, name) > 0);
    dir->paths = paths;
    dir->paths[dir->n_paths++] = path;
    return path;
}

const char *tmpdir_write(struct tmpdir *dir, const char *name, const void *data, size_t len)
{
    const char *path = tmpdir_path(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file;

    support_require(fd >= 0);
    file = fdopen(fd, "wb");
    support_require(file != NULL);
    support_require(fwrite(data, 1, len, file) == len);
    support_require(fclose(file) == 0);
    return path;
}

const char *tmpdir_write_text(struct tmpdir *dir, const char *name, const char *text)
{
    return tmpdir_write(dir, name, text, strlen(text));
}

const char *tmpdir_mkdir(struct tmpdir *dir, const char *name)
{
    const char *path = tmpdir_path(dir, name);

    support_require(mkdir(path, 0700) == 0);
    return path;
}
