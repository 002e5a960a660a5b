/* The server that is nothing but the machine: sp_tripwire_prove and sp_session_step over an array of rows. */
#ifndef SP_TESTS_SIM_SIM_MACHINE_H
#define SP_TESTS_SIM_SIM_MACHINE_H

#include "sim.h"

extern const struct sim_server sim_machine;

#endif
