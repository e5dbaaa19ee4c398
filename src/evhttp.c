#include "config.h"

#include <event2/http.h>
