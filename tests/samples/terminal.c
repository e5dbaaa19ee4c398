/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * terminal COLUMNS SHOWN STREAMS COMMAND...: runs a command with its standard error on a terminal
 * of so many columns (0: a terminal that does not know), and with STREAMS "both" its standard
 * output too. The file SHOWN gets what the terminal got. Ends with the status of the command.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(125);
}

static int open_pair(int *slave, int columns)
{
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    struct termios raw;

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        die("posix_openpt");
    *slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (*slave < 0 || tcgetattr(*slave, &raw) < 0)
        die("the terminal");
    raw.c_oflag &= ~(tcflag_t)OPOST; /* newlines stay as they are */
    if (tcsetattr(*slave, TCSANOW, &raw) < 0 || ioctl(*slave, TIOCSWINSZ, &size) < 0)
        die("the terminal");
    return master;
}

/* Until the last writer is gone, which a terminal tells as EIO. */
static void copy(int master, const char *path)
{
    FILE *shown = fopen(path, "w");
    char data[4096];
    ssize_t n;

    if (shown == NULL)
        die(path);
    while ((n = read(master, data, sizeof(data))) > 0)
        fwrite(data, 1, (size_t)n, shown);
    if (fclose(shown) != 0)
        die(path);
}

int main(int argc, char **argv)
{
    int master, slave, status;
    pid_t pid;

    if (argc < 5)
        return 125;
    master = open_pair(&slave, atoi(argv[1]));
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        dup2(slave, STDERR_FILENO);
        if (strcmp(argv[3], "both") == 0)
            dup2(slave, STDOUT_FILENO);
        close(slave);
        close(master);
        execvp(argv[4], argv + 4);
        _exit(127);
    }
    close(slave);
    copy(master, argv[2]);
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
