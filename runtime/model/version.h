#pragma once

#ifndef TIDEMILL_VERSION
#define TIDEMILL_VERSION "0.1.0"
#endif
