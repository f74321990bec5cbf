/* The payment process. */
#include "payment/commands.h"

int main(int argc, char **argv)
{
    return consumer_run(&payment_definition, argc, argv);
}
